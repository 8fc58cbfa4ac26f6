"""Invitations: a tenant invites an address; until the person accepts, the tenant learns nothing about them.

With mail configured, the link is sent to the address only, so opening it verifies the address. Without mail the admin
hands the link over; it creates an account that is valid for this tenant only and never changes an existing account.
The admin gets the same answer whether or not the address has an account.
"""

import hmac
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils.crypto import salted_hmac

from apps.accounts.access import MemberAccess
from apps.accounts.access_sessions import refuse_in_access_session
from apps.accounts.errors import (
    AlreadyMember,
    InvitationUnusable,
    ScopeNotHeld,
    TooManyInvitations,
)
from apps.accounts.members import check_limit, members_of_address
from apps.accounts.models import ApiToken, Invitation, InvitationAddress, User
from apps.accounts.selectors import access_for_user, access_of_token
from apps.accounts.services import token_digest
from apps.accounts.tokens import require_role_within
from apps.accounts.users import address_digest
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.authorization.permissions import Permission
from apps.mail.choices import MailState
from apps.mail.services import is_mail_configured, queue_mail
from apps.tenancy import acting_in
from apps.tenancy.context import require_tenant_id
from apps.tenancy.models import Tenant

LIFETIME = timedelta(days=7)
#: Invitations are mail to strangers in the name of the installation: limited per tenant and per address.
MAX_OPEN = 200
MAX_PER_DAY = 400
MAX_PER_ADDRESS_AND_DAY = 5
MAIL_KIND = "accounts.invitation"
_SALT = "accounts.invitation"


def invite_as(
    *, access: MemberAccess, email: str, role: str, is_limited: bool, at: datetime
) -> tuple[Invitation, str]:
    """``invite`` for callers of pages and REST, within the caller's own permissions and token lifetime. Raises
    ScopeNotHeld and what ``invite`` raises."""
    check_limit(role, is_limited=is_limited)
    require_role_within(access, role, is_limited=is_limited)
    until = access.token.expires_at if access.token else None
    return invite(
        email=email, role=role, is_limited=is_limited, actor=access.actor, at=at, until=until
    )


def invite(
    *,
    email: str,
    role: str,
    is_limited: bool,
    actor: Actor,
    at: datetime,
    until: datetime | None = None,
) -> tuple[Invitation, str]:
    """Invite an address to the current tenant. Replaces an open invitation of the same address.

    Returns the key of the link, once; empty if the link is sent by mail. Raises AlreadyMember, CannotBeLimited,
    TooManyInvitations.
    """
    refuse_in_access_session(actor)
    tenant_id = require_tenant_id()
    check_limit(role, is_limited=is_limited)
    # Serializes concurrent invitations of one tenant.
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
    if members_of_address(email).exists():
        raise AlreadyMember
    _check_limits(email, at)
    _revoke_open(email, at)
    is_mailed = is_mail_configured()
    secret = secrets.token_urlsafe(32)
    created = Invitation.objects.create(
        email=email,
        role=role,
        is_limited=is_limited,
        digest=token_digest(secret),
        invited_by=actor.as_dict(),
        created_at=at,
        expires_at=min(at + LIFETIME, until) if until else at + LIFETIME,
        mail_state=MailState.QUEUED if is_mailed else "",
    )
    InvitationAddress.objects.filter(expires_at__lte=at, tenant_id=tenant_id).delete()
    InvitationAddress.objects.update_or_create(
        tenant_id=tenant_id,
        digest=address_digest(email),
        defaults={"invitation_id": created.pk, "expires_at": created.expires_at},
    )
    if is_mailed:
        queue_mail(kind=MAIL_KIND, tenant_id=tenant_id, ref=created.pk, at=at)
    record_invitation("invitation.created", created, actor, at)
    return created, "" if is_mailed else f"{tenant_id.hex}.{secret}"


def revoke_invitation(*, invitation: Invitation, actor: Actor, at: datetime) -> None:
    """Revoke an invitation. Idempotent: an invitation that has ended is not changed."""
    if end_invitation(invitation, revoked_at=at):
        record_invitation("invitation.revoked", invitation, actor, at)


def end_invitation(invitation: Invitation, **ended: datetime) -> bool:
    """Set how an open invitation ended. Returns False if it has ended already. Call inside the tenant."""
    rows = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    was_open = bool(rows.update(**ended))
    InvitationAddress.objects.filter(invitation_id=invitation.pk).delete()
    return was_open


def find_invitation(key: str, at: datetime) -> tuple[Tenant, Invitation]:
    """The open invitation of a link's key. Raises InvitationUnusable.

    The tenant id in the key only selects the tenant: row-level security hides invitations of all others.
    """
    tenant_text, _, secret = key.partition(".")
    try:
        tenant_id = UUID(tenant_text)
    except ValueError:
        raise InvitationUnusable from None
    digest = token_digest(secret)
    tenant, invitation = _open_invitation(tenant_id, at, digest=digest)
    if not hmac.compare_digest(bytes(invitation.digest), digest):
        raise InvitationUnusable
    return tenant, invitation


def open_invitation(
    tenant_id: UUID, invitation_id: UUID, at: datetime
) -> tuple[Tenant, Invitation]:
    """An open invitation by id. Raises InvitationUnusable."""
    return _open_invitation(tenant_id, at, pk=invitation_id)


def _open_invitation(tenant_id: UUID, at: datetime, **lookup: object) -> tuple[Tenant, Invitation]:
    tenant = Tenant.objects.filter(pk=tenant_id, is_active=True).first()
    if tenant is None:
        raise InvitationUnusable
    with acting_in(tenant):
        row = Invitation.objects.filter(
            accepted_at=None, revoked_at=None, expires_at__gt=at, **lookup
        ).first()
    if row is None or not _may_inviter_still_invite(tenant, row, at):
        raise InvitationUnusable
    return tenant, row


def mail_key(invitation: Invitation) -> str:
    """The key of a mailed link, derived from the server's secret key: the same at each sending, and never stored.

    Its digest replaces the one that the row was created with. Call inside the tenant.
    """
    secret = salted_hmac(_SALT, str(invitation.pk), algorithm="sha256").hexdigest()
    digest = token_digest(secret)
    if bytes(invitation.digest) != digest:
        Invitation.objects.filter(pk=invitation.pk).update(digest=digest)
    return f"{invitation.tenant_id.hex}.{secret}"


def invitation_link(key: str) -> str:
    """The URL of an invitation, from ISPVM_PUBLIC_URL and not from the Host header."""
    return f"{settings.ISPVM_PUBLIC_URL}{reverse('accounts:invitation')}?key={key}"


def _may_inviter_still_invite(tenant: Tenant, invitation: Invitation, at: datetime) -> bool:
    """Whether the inviter still has the permission to invite with this role."""
    inviter = invitation.invited_by
    if inviter["kind"] == "system":
        return True
    access = None
    if inviter["kind"] == "user":
        user = User.objects.filter(pk=inviter["id"]).first()
        access = access_for_user(user, tenant.pk) if user else None
    elif inviter["kind"] == "token":
        tokens = ApiToken.objects.select_related("user")
        token = tokens.filter(pk=inviter["id"], tenant=tenant).first()
        access = access_of_token(token, at) if token else None
    if access is None or not access.may(Permission.MEMBERS_MANAGE):
        return False
    try:
        require_role_within(access, invitation.role, is_limited=invitation.is_limited)
    except ScopeNotHeld:
        return False
    return True


def _check_limits(email: str, at: datetime) -> None:
    rows = Invitation.objects.all()
    open_rows = rows.filter(accepted_at=None, revoked_at=None, expires_at__gt=at)
    # Revoked ones count too: each may have been a mail.
    recent = rows.filter(created_at__gt=at - timedelta(days=1))
    if (
        open_rows.count() >= MAX_OPEN
        or recent.count() >= MAX_PER_DAY
        or recent.filter(email__iexact=email).count() >= MAX_PER_ADDRESS_AND_DAY
    ):
        raise TooManyInvitations(
            message=f"Limits: {MAX_OPEN} open invitations, {MAX_PER_DAY} per day, {MAX_PER_ADDRESS_AND_DAY} per day "
            "and address. Nothing was sent. Revoke open invitations or try again tomorrow."
        )


def _revoke_open(email: str, at: datetime) -> None:
    rows = Invitation.objects.filter(email__iexact=email, accepted_at=None, revoked_at=None)
    rows.update(revoked_at=at)


def record_invitation(action: str, invitation: Invitation, actor: Actor, at: datetime) -> None:
    """Record in the tenant's audit log. Until it is accepted this holds only what the admin entered."""
    detail = {
        "email": invitation.email,
        "role": str(invitation.role),
        "is_limited": invitation.is_limited,
    }
    record(action=action, actor=actor, entity=("invitation", invitation.pk), at=at, detail=detail)
