"""Answering an invitation: as somebody new through its link, or signed in as the person whose address it names."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.db import IntegrityError

from apps.accounts.errors import (
    AddressNotProven,
    AlreadyMember,
    InvitationUnusable,
    InvitedSomebodyElse,
    SignInFirst,
)
from apps.accounts.invitations import (
    end_invitation,
    find_invitation,
    open_invitation,
    record_invitation,
)
from apps.accounts.models import Invitation, InvitationAddress, Membership, User
from apps.accounts.people import ACCOUNT_EXISTS, address_digest, local_name, must_sign_in, take_over
from apps.accounts.services import create_user
from apps.audit.services import lock_chain
from apps.authorization.actors import Actor
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

#: An inbox shows no more: a person has few tenants, and a hostile one cannot fill it by itself.
MAX_SHOWN = 50


@dataclass(frozen=True)
class Pending:
    """An invitation as its person sees it."""

    tenant: Tenant
    invitation: Invitation


def pending_invitations(user: User, at: datetime) -> list[Pending]:
    """What waits for this person's answer. Nobody whose address is not proven has any."""
    if user.email_verified_at is None:
        return []
    rows = InvitationAddress.objects.filter(digest=address_digest(user.email), expires_at__gt=at)
    found = []
    for row in rows.order_by("expires_at", "pk")[:MAX_SHOWN]:
        try:
            found.append(Pending(*open_invitation(row.tenant_id, row.invitation_id, at)))
        except InvitationUnusable:
            continue
    return found


def accept(*, user: User, invitation_id: UUID, at: datetime) -> Tenant:
    """Become a member, as the person who is signed in. Raises InvitationUnusable, AlreadyMember."""
    pending = _pending(user, invitation_id, at)
    with acting_in(pending.tenant):
        _take(pending.invitation, at)
        _join(pending.tenant, pending.invitation, user, at)
    return pending.tenant


def decline(*, user: User, invitation_id: UUID, at: datetime) -> None:
    """Say no; the tenant sees that the invitation was declined. Raises InvitationUnusable."""
    pending = _pending(user, invitation_id, at)
    with acting_in(pending.tenant):
        if not end_invitation(pending.invitation, revoked_at=at, declined_at=at):
            raise InvitationUnusable
        # Not the account: a tenant in which a person does not work learns no id and no name of theirs.
        actor = Actor("invited", str(pending.invitation.pk), pending.invitation.email)
        record_invitation("invitation.declined", pending.invitation, actor, at)


def accept_link(*, key: str, user: User, at: datetime) -> Tenant:
    """Become a member by a link, as the person who is signed in. Raises InvitationUnusable, InvitedSomebodyElse,
    AddressNotProven, AlreadyMember."""
    _tenant, invitation = find_invitation(key, at)
    if user.address.casefold() != invitation.email.casefold():
        raise InvitedSomebodyElse(message="This invitation is for another address than yours.")
    if user.email_verified_at is None:
        raise not_proven(invitation)
    return accept(user=user, invitation_id=invitation.pk, at=at)


def not_proven(invitation: Invitation) -> AddressNotProven:
    """The refusal for an account of the invited address that has not proven it, with what to do."""
    if invitation.mail_state and must_sign_in(invitation.email):
        way = "Ask the platform's operator to confirm it (manage verify_email)."
    else:
        way = "Sign out, and open the link again."
    return AddressNotProven(message=f"Your account has not shown that this address is yours. {way}")


def accept_as_new(*, key: str, name: str, password: str, at: datetime) -> tuple[User, Tenant]:
    """Become somebody and a member at once. Raises InvitationUnusable, SignInFirst; Django's ValidationError for a
    password that is too weak.

    By a link that came by mail: the owner of the address. An account of the address that nobody has proven becomes
    theirs, and what opened it before ends, unless more than a mailbox protects it: then SignInFirst. By a link that
    was handed over: an account of this tenant alone.
    """
    tenant, invitation = find_invitation(key, at)
    validate_password(password, User(email=invitation.email, first_name=name))
    if invitation.mail_state and must_sign_in(invitation.email):
        raise SignInFirst(message=ACCOUNT_EXISTS)
    try:
        with acting_in(tenant):
            _take(invitation, at)
            existing = _existing_account(invitation)
            user = existing or _new_account(tenant, invitation, name=name, password=password, at=at)
            if existing is not None:
                # The platform's audit log, which this writes, is locked after the tenant's, always. Not after joining:
                # what the new tenant demands of its members is no reason to refuse.
                lock_chain()
                take_over(user=existing, password=password, at=at)
                user = User.objects.get(pk=existing.pk)
            _join(tenant, invitation, user, at)
    except IntegrityError as error:  # became somebody through another tenant's invitation, just now
        raise InvitationUnusable from error
    return user, tenant


def _existing_account(invitation: Invitation) -> User | None:
    """The account of a mailed invitation's address, which ``take_over`` refuses or gives to its owner."""
    if not invitation.mail_state:
        return None
    # Locked before the membership refers to it: of two invitations answered at once one waits here.
    return User.objects.select_for_update().filter(email__iexact=invitation.email).first()


def _new_account(
    tenant: Tenant, invitation: Invitation, *, name: str, password: str, at: datetime
) -> User:
    email = invitation.email
    if not invitation.mail_state:
        return create_user(
            email=local_name(tenant, email), password=password, full_name=name, local_tenant=tenant
        )
    return create_user(email=email, password=password, full_name=name, verified_at=at)


def _pending(user: User, invitation_id: UUID, at: datetime) -> Pending:
    for pending in pending_invitations(user, at):
        if pending.invitation.pk == invitation_id:
            return pending
    raise InvitationUnusable


def _take(invitation: Invitation, at: datetime) -> None:
    """Who comes second finds it used: one link makes one member, however many click at once."""
    if not end_invitation(invitation, accepted_at=at):
        raise InvitationUnusable


def _join(tenant: Tenant, invitation: Invitation, user: User, at: datetime) -> None:
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
