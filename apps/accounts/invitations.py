"""Inviting by link: made by an admin, shown to them once, used once by the person it is for."""

import hmac
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.db import IntegrityError

from apps.accounts.actors import Actor
from apps.accounts.errors import (
    AlreadyMember,
    InvitationUnusable,
    InvitedSomebodyElse,
    SignInFirst,
)
from apps.accounts.members import check_limit
from apps.accounts.models import Invitation, Membership, User
from apps.accounts.services import create_user, token_digest
from apps.accounts.visits import refuse_in_visit
from apps.audit.services import record
from apps.tenancy import acting_in
from apps.tenancy.context import require_tenant_id
from apps.tenancy.models import Tenant

GOOD_FOR = timedelta(days=7)


def invite(
    *, email: str, role: str, is_limited: bool, actor: Actor, at: datetime
) -> tuple[Invitation, str]:
    """Ask somebody into this tenant; the key of the link is returned once, never stored. A new invitation of the same
    person ends the one before. Raises AlreadyMember, CannotBeLimited."""
    refuse_in_visit(actor)
    tenant_id = require_tenant_id()
    check_limit(role, is_limited=is_limited)
    if Membership.objects.filter(tenant_id=tenant_id, user__email__iexact=email).exists():
        raise AlreadyMember
    before = Invitation.objects.filter(email__iexact=email, accepted_at=None, revoked_at=None)
    before.update(revoked_at=at)
    secret = secrets.token_urlsafe(32)
    made = Invitation.objects.create(
        email=email,
        role=role,
        is_limited=is_limited,
        digest=token_digest(secret),
        invited_by=actor.as_dict(),
        created_at=at,
        expires_at=at + GOOD_FOR,
    )
    _record("invitation.made", made, actor, at)
    return made, f"{tenant_id.hex}.{secret}"


def revoke_invitation(*, invitation: Invitation, actor: Actor, at: datetime) -> None:
    """Take an invitation back. Idempotent: what was used or taken back stays as it is."""
    open_ones = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    if open_ones.update(revoked_at=at):
        _record("invitation.revoked", invitation, actor, at)


def find_invitation(key: str, at: datetime) -> tuple[Tenant, Invitation]:
    """What a link's key opens now. Raises InvitationUnusable.

    The tenant in the key only says where to look: row-level security shows no other tenant's invitation there.
    """
    tenant_text, _, secret = key.partition(".")
    try:
        tenant = Tenant.objects.filter(pk=UUID(tenant_text), is_active=True).first()
    except ValueError:
        tenant = None
    if tenant is None:
        raise InvitationUnusable
    digest = token_digest(secret)
    with acting_in(tenant):
        found = Invitation.objects.filter(
            digest=digest, accepted_at=None, revoked_at=None, expires_at__gt=at
        ).first()
    if found is None or not hmac.compare_digest(bytes(found.digest), digest):
        raise InvitationUnusable
    return tenant, found


def accept_as_new(*, key: str, name: str, password: str, at: datetime) -> tuple[User, Tenant]:
    """Become somebody and a member at once. Raises InvitationUnusable, SignInFirst; Django's ValidationError for a
    password that is too weak."""
    tenant, invitation = find_invitation(key, at)
    validate_password(password, User(email=invitation.email, first_name=name))
    if User.objects.filter(email__iexact=invitation.email).exists():
        raise SignInFirst(message="You have an account: sign in, then open the link again.")
    try:
        with acting_in(tenant):
            _take(invitation, at)
            user = create_user(email=invitation.email, password=password, full_name=name)
            _join(tenant, invitation, user, at)
    except IntegrityError as error:  # became somebody through another tenant's invitation, just now
        raise SignInFirst from error
    return user, tenant


def accept_as(*, key: str, user: User, at: datetime) -> Tenant:
    """Become a member as the person who is signed in. Raises InvitationUnusable, InvitedSomebodyElse, AlreadyMember."""
    tenant, invitation = find_invitation(key, at)
    if user.email.casefold() != invitation.email.casefold():
        raise InvitedSomebodyElse(message="This invitation is for somebody else.")
    with acting_in(tenant):
        _take(invitation, at)
        _join(tenant, invitation, user, at)
    return tenant


def _take(invitation: Invitation, at: datetime) -> None:
    """Who comes second finds it used: one link makes one member, however many click at once."""
    open_ones = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    if not open_ones.update(accepted_at=at):
        raise InvitationUnusable


def _join(tenant: Tenant, invitation: Invitation, user: User, at: datetime) -> None:
    _, is_new = Membership.objects.get_or_create(
        tenant=tenant,
        user=user,
        defaults={"role": invitation.role, "is_limited": invitation.is_limited},
    )
    if not is_new:
        raise AlreadyMember
    _record("invitation.accepted", invitation, Actor("user", str(user.id), user.label), at)


def _record(action: str, invitation: Invitation, actor: Actor, at: datetime) -> None:
    detail = {
        "email": invitation.email,
        "role": str(invitation.role),
        "is_limited": invitation.is_limited,
    }
    record(action=action, actor=actor, entity=("invitation", invitation.pk), at=at, detail=detail)
