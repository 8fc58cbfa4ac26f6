"""Inviting people: a tenant asks, the person answers, and until then the tenant learns nothing of them.

Where mail is configured the link goes to the address alone, so that whoever opens it has shown the address to be
theirs. Where it is not, the admin hands the link over; such a link makes an account of this one tenant and never
touches an account that exists. Whatever is known of an address, the admin is answered alike.
"""

import hmac
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils.crypto import salted_hmac

from apps.accounts.access import MemberAccess
from apps.accounts.errors import (
    AlreadyMember,
    InvitationUnusable,
    ScopeNotHeld,
    TooManyInvitations,
)
from apps.accounts.members import check_limit, members_of_address
from apps.accounts.models import ApiToken, Invitation, InvitationAddress, User
from apps.accounts.people import address_digest
from apps.accounts.selectors import access_for_user, access_of_token
from apps.accounts.services import token_digest
from apps.accounts.tokens import require_role_within
from apps.accounts.visits import refuse_in_visit
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.authorization.permissions import Permission
from apps.mail.choices import MailState
from apps.mail.services import is_mail_configured, queue_mail
from apps.tenancy import acting_in
from apps.tenancy.context import require_tenant_id
from apps.tenancy.models import Tenant

GOOD_FOR = timedelta(days=7)
#: A tenant writes to strangers in the installation's name: not to everybody, and not to the same one all day.
MAX_OPEN = 200
MAX_PER_DAY = 400
MAX_PER_ADDRESS_AND_DAY = 5
MAIL_KIND = "accounts.invitation"
_SALT = "accounts.invitation"


def invite_as(
    *, access: MemberAccess, email: str, role: str, is_limited: bool, at: datetime
) -> tuple[Invitation, str]:
    """``invite`` for a caller of pages and REST, who invites to no more than they may do themselves, and, with a token,
    for no longer than it lasts. Raises ScopeNotHeld beside what ``invite`` raises."""
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
    """Ask somebody into this tenant. A new invitation of the same person ends the one before.

    Returns the key of the link, once, or nothing where the link goes by mail. Raises AlreadyMember, CannotBeLimited,
    TooManyInvitations.
    """
    refuse_in_visit(actor)
    tenant_id = require_tenant_id()
    check_limit(role, is_limited=is_limited)
    # Two admins who invite the same person at once do it one after the other.
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
    if members_of_address(email).exists():
        raise AlreadyMember
    _end_former(email, at)
    is_mailed = is_mail_configured()
    secret = secrets.token_urlsafe(32)
    created = Invitation.objects.create(
        email=email,
        role=role,
        is_limited=is_limited,
        digest=token_digest(secret),
        invited_by=actor.as_dict(),
        created_at=at,
        expires_at=min(at + GOOD_FOR, until) if until else at + GOOD_FOR,
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
    record_invitation("invitation.made", created, actor, at)
    return created, "" if is_mailed else f"{tenant_id.hex}.{secret}"


def revoke_invitation(*, invitation: Invitation, actor: Actor, at: datetime) -> None:
    """Take an invitation back. Idempotent: what was used or taken back stays as it is."""
    if end_invitation(invitation, revoked_at=at):
        record_invitation("invitation.revoked", invitation, actor, at)


def end_invitation(invitation: Invitation, **ended: datetime) -> bool:
    """Set how an open invitation ended; who comes second finds it ended. Inside the tenant."""
    open_ones = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    is_first = bool(open_ones.update(**ended))
    InvitationAddress.objects.filter(invitation_id=invitation.pk).delete()
    return is_first


def find_invitation(key: str, at: datetime) -> tuple[Tenant, Invitation]:
    """What a link's key opens now. Raises InvitationUnusable.

    The tenant in the key only says where to look: row-level security shows no other tenant's invitation there.
    """
    tenant_text, _, secret = key.partition(".")
    try:
        tenant_id = UUID(tenant_text)
    except ValueError:
        raise InvitationUnusable from None
    digest = token_digest(secret)
    tenant, found = _open_invitation(tenant_id, at, digest=digest)
    if not hmac.compare_digest(bytes(found.digest), digest):
        raise InvitationUnusable
    return tenant, found


def open_invitation(
    tenant_id: UUID, invitation_id: UUID, at: datetime
) -> tuple[Tenant, Invitation]:
    """An invitation that can be answered now. Raises InvitationUnusable."""
    return _open_invitation(tenant_id, at, pk=invitation_id)


def _open_invitation(tenant_id: UUID, at: datetime, **named: object) -> tuple[Tenant, Invitation]:
    tenant = Tenant.objects.filter(pk=tenant_id, is_active=True).first()
    if tenant is None:
        raise InvitationUnusable
    with acting_in(tenant):
        found = Invitation.objects.filter(
            accepted_at=None, revoked_at=None, expires_at__gt=at, **named
        ).first()
    if found is None or not _is_backed(tenant, found, at):
        raise InvitationUnusable
    return tenant, found


def mail_key(invitation: Invitation) -> str:
    """The key of a link that goes by mail: the same each time it is written, and in no row.

    Inside the tenant. It takes the place of the secret that was drawn with the row.
    """
    secret = salted_hmac(_SALT, str(invitation.pk), algorithm="sha256").hexdigest()
    digest = token_digest(secret)
    if bytes(invitation.digest) != digest:
        Invitation.objects.filter(pk=invitation.pk).update(digest=digest)
    return f"{invitation.tenant_id.hex}.{secret}"


def link_of(key: str) -> str:
    """The address that opens it, on the host of the operator's setting: what a Host header says decides nothing."""
    return f"{settings.ISPVM_PUBLIC_URL}{reverse('accounts:invitation')}?key={key}"


def _is_backed(tenant: Tenant, invitation: Invitation, at: datetime) -> bool:
    """Whether who invited may still invite to this role: an invitation is worth no more than its inviter."""
    who = invitation.invited_by
    if who["kind"] == "system":
        return True
    access = None
    if who["kind"] == "user":
        user = User.objects.filter(pk=who["id"]).first()
        access = access_for_user(user, tenant.pk) if user else None
    elif who["kind"] == "token":
        token = ApiToken.objects.select_related("user").filter(pk=who["id"], tenant=tenant).first()
        access = access_of_token(token, at) if token else None
    if access is None or not access.may(Permission.MEMBERS_MANAGE):
        return False
    try:
        require_role_within(access, invitation.role, is_limited=invitation.is_limited)
    except ScopeNotHeld:
        return False
    return True


def _end_former(email: str, at: datetime) -> None:
    rows = Invitation.objects.all()
    waiting = rows.filter(accepted_at=None, revoked_at=None, expires_at__gt=at)
    # Whatever became of them: each may have been a mail, and revoked ones would else be free.
    lately = rows.filter(created_at__gt=at - timedelta(days=1))
    if (
        waiting.count() >= MAX_OPEN
        or lately.count() >= MAX_PER_DAY
        or lately.filter(email__iexact=email).count() >= MAX_PER_ADDRESS_AND_DAY
    ):
        raise TooManyInvitations(
            message=f"At most {MAX_OPEN} invitations are open at once, {MAX_PER_DAY} are created a day, and "
            f"{MAX_PER_ADDRESS_AND_DAY} a day for one address. Nothing was sent: revoke what is not needed, or try "
            "again tomorrow."
        )
    rows.filter(email__iexact=email, accepted_at=None, revoked_at=None).update(revoked_at=at)


def record_invitation(action: str, invitation: Invitation, actor: Actor, at: datetime) -> None:
    """On the tenant's audit log. Before the person has accepted it holds what the admin typed, and nothing else."""
    detail = {
        "email": invitation.email,
        "role": str(invitation.role),
        "is_limited": invitation.is_limited,
    }
    record(action=action, actor=actor, entity=("invitation", invitation.pk), at=at, detail=detail)
