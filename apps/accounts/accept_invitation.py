"""Accepting or declining an invitation: with a new account through its link, or signed in with the invited address."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.db import IntegrityError

from apps.accounts.errors import (
    AddressNotVerified,
    AlreadyMember,
    InvitationForAnotherAddress,
    InvitationUnusable,
    SignInFirst,
)
from apps.accounts.invitations import (
    end_invitation,
    find_invitation,
    open_invitation,
    record_invitation,
)
from apps.accounts.models import Invitation, InvitationAddress, Membership, User
from apps.accounts.services import create_user
from apps.accounts.users import (
    ACCOUNT_EXISTS,
    address_digest,
    local_account_name,
    must_sign_in,
    take_over,
)
from apps.audit.services import lock_chain
from apps.authorization.actors import Actor
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

#: Upper bound of the list, so that hostile tenants cannot make it arbitrarily long.
MAX_SHOWN = 50


@dataclass(frozen=True)
class PendingInvitation:
    """An open invitation of the signed-in user."""

    tenant: Tenant
    invitation: Invitation


def pending_invitations(user: User, at: datetime) -> list[PendingInvitation]:
    """Open invitations of this user; none while their address is not verified."""
    if user.email_verified_at is None:
        return []
    rows = InvitationAddress.objects.filter(digest=address_digest(user.email), expires_at__gt=at)
    invitations = []
    for row in rows.order_by("expires_at", "pk")[:MAX_SHOWN]:
        try:
            invitations.append(
                PendingInvitation(*open_invitation(row.tenant_id, row.invitation_id, at))
            )
        except InvitationUnusable:
            continue
    return invitations


def accept(*, user: User, invitation_id: UUID, at: datetime) -> Tenant:
    """Become a member as the signed-in user. Raises InvitationUnusable, AlreadyMember."""
    pending = _pending(user, invitation_id, at)
    with acting_in(pending.tenant):
        _mark_accepted(pending.invitation, at)
        _create_membership(pending.tenant, pending.invitation, user, at)
    return pending.tenant


def decline(*, user: User, invitation_id: UUID, at: datetime) -> None:
    """Decline; the tenant sees the invitation as declined. Raises InvitationUnusable."""
    pending = _pending(user, invitation_id, at)
    with acting_in(pending.tenant):
        if not end_invitation(pending.invitation, revoked_at=at, declined_at=at):
            raise InvitationUnusable
        # Not the user's own id or name: the tenant must not learn them.
        actor = Actor("invited", str(pending.invitation.pk), pending.invitation.email)
        record_invitation("invitation.declined", pending.invitation, actor, at)


def accept_link(*, key: str, user: User, at: datetime) -> Tenant:
    """Become a member by a link, as the signed-in user. Raises InvitationUnusable,
    InvitationForAnotherAddress, AddressNotVerified, AlreadyMember."""
    _tenant, invitation = find_invitation(key, at)
    if user.address.casefold() != invitation.email.casefold():
        raise InvitationForAnotherAddress(message="This invitation is for another address.")
    if user.email_verified_at is None:
        raise address_not_verified(invitation)
    return accept(user=user, invitation_id=invitation.pk, at=at)


def address_not_verified(invitation: Invitation) -> AddressNotVerified:
    """The error for an account whose address is not verified, with what to do."""
    if invitation.mail_state and must_sign_in(invitation.email):
        hint = "Ask the platform operator to verify it (manage verify_email)."
    else:
        hint = "Sign out and open the link again."
    return AddressNotVerified(message=f"The address of your account is not verified. {hint}")


def accept_as_new(*, key: str, name: str, password: str, at: datetime) -> tuple[User, Tenant]:
    """Create an account and become a member. Raises InvitationUnusable, SignInFirst; ValidationError for a weak
    password.

    A mailed link verifies the address: an existing account whose address was never verified is taken over, and its
    former credentials end; if it has more protection than a mailbox, SignInFirst is raised. A link that was handed
    over creates an account that is valid for this tenant only.
    """
    tenant, invitation = find_invitation(key, at)
    validate_password(password, User(email=invitation.email, first_name=name))
    if invitation.mail_state and must_sign_in(invitation.email):
        raise SignInFirst(message=ACCOUNT_EXISTS)
    try:
        with acting_in(tenant):
            _mark_accepted(invitation, at)
            existing = _existing_account(invitation)
            user = existing or _new_account(tenant, invitation, name=name, password=password, at=at)
            if existing is not None:
                # Lock order: the tenant's audit log before the platform's, which ``take_over`` writes. Called before
                # the membership exists, so that the new tenant's second-factor policy does not refuse the takeover.
                lock_chain()
                take_over(user=existing, password=password, at=at)
                user = User.objects.get(pk=existing.pk)
            _create_membership(tenant, invitation, user, at)
    except IntegrityError as error:
        # The account was created concurrently by another tenant's invitation.
        raise InvitationUnusable from error
    return user, tenant


def _existing_account(invitation: Invitation) -> User | None:
    """The existing account with the address of a mailed invitation."""
    if not invitation.mail_state:
        return None
    # Locked before the membership refers to it: serializes two invitations that are accepted concurrently.
    return User.objects.select_for_update().filter(email__iexact=invitation.email).first()


def _new_account(
    tenant: Tenant, invitation: Invitation, *, name: str, password: str, at: datetime
) -> User:
    email = invitation.email
    if not invitation.mail_state:
        return create_user(
            email=local_account_name(tenant, email),
            password=password,
            full_name=name,
            local_tenant=tenant,
        )
    return create_user(email=email, password=password, full_name=name, verified_at=at)


def _pending(user: User, invitation_id: UUID, at: datetime) -> PendingInvitation:
    for pending in pending_invitations(user, at):
        if pending.invitation.pk == invitation_id:
            return pending
    raise InvitationUnusable


def _mark_accepted(invitation: Invitation, at: datetime) -> None:
    """Mark it accepted, or raise InvitationUnusable if it has ended: one link creates one member."""
    if not end_invitation(invitation, accepted_at=at):
        raise InvitationUnusable


def _create_membership(tenant: Tenant, invitation: Invitation, user: User, at: datetime) -> None:
    _, is_new = Membership.objects.get_or_create(
        tenant=tenant,
        user=user,
        defaults={"role": invitation.role, "is_limited": invitation.is_limited},
    )
    if not is_new:
        raise AlreadyMember
    record_invitation(
        "invitation.accepted", invitation, Actor("user", str(user.id), user.label), at
    )
