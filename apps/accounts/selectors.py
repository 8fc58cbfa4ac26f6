"""Reads of accounts."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from apps.accounts.access import MemberAccess
from apps.accounts.models import ApiToken, BreakGlass, Membership, PlatformOperator, User
from apps.accounts.services import token_digest
from apps.authorization.actors import Actor
from apps.authorization.permissions import PLATFORM, Permission
from apps.tenancy import acting_in
from apps.tenancy.context import require_tenant_id
from apps.tenancy.models import Tenant

#: ``last_used_at`` is written at most this often, not on every request.
LAST_USED_INTERVAL = timedelta(minutes=1)


def access_for_token(text: str, at: datetime) -> MemberAccess | None:
    """The access that a bearer token gives now, or None."""
    token = (
        ApiToken.objects.select_related("user", "tenant")
        .filter(digest=token_digest(text), revoked_at=None, expires_at__gt=at)
        .first()
    )
    access = access_of_token(token, at) if token else None
    if token is None or access is None:
        return None
    stale = Q(last_used_at=None) | Q(last_used_at__lt=at - LAST_USED_INTERVAL)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=at)
    return access


def access_of_token(token: ApiToken, at: datetime) -> MemberAccess | None:
    """The access of a token now; None when it is revoked or expired, or its user is no member of its tenant."""
    if token.revoked_at is not None or token.expires_at <= at:
        return None
    access = access_for_user(token.user, token.tenant_id)
    if access is None:
        return None
    token_access = replace(
        access,
        actor=Actor("token", str(token.id), token.name),
        token=token,
        scopes=None if token.scopes is None else frozenset(token.scopes) | {Permission.SELF},
    )
    # A token cannot sign in again: its user did when the scope was granted.
    return token_access.with_login_approval(is_fresh=True)


def access_for_user(
    user: User, tenant_id: UUID | None, *, at: datetime | None = None
) -> MemberAccess | None:
    """A user's access in this tenant; there is no default tenant. Platform operators need an access session that is
    open at ``at``; without ``at`` only memberships count."""
    if tenant_id is None or not user.is_active:
        return None
    membership = (
        Membership.objects.select_related("tenant")
        .filter(user=user, tenant_id=tenant_id, tenant__is_active=True)
        .first()
    )
    if membership is None:
        return break_glass_access(user, tenant_id, at) if at else None
    actor = Actor("user", str(user.id), user.label)
    return MemberAccess(
        user, membership.tenant, membership.role, actor, is_limited=membership.is_limited
    )


def break_glass_access(user: User, tenant_id: UUID, at: datetime) -> MemberAccess | None:
    """A platform operator's access to a tenant in which they have an open access session: an ordinary access with a
    role of its own, behind the same row-level security."""
    if not is_platform_operator(user):
        return None
    tenant = Tenant.objects.filter(pk=tenant_id, is_active=True).first()
    if tenant is None:
        return None
    with acting_in(tenant):
        session = BreakGlass.objects.filter(user=user, closed_at=None, expires_at__gt=at).first()
    if session is None:
        return None
    actor = Actor("platform", str(user.id), user.label, access_session=str(session.pk))
    return MemberAccess(user, tenant, PLATFORM, actor, break_glass=session)


def is_platform_operator(user: User) -> bool:
    return user.is_active and PlatformOperator.objects.filter(user=user).exists()


def tenants_of(user: User) -> list[Tenant]:
    """The active tenants that a user is a member of, by name. One query."""
    return list(
        Tenant.objects.filter(memberships__user=user, is_active=True).order_by("name", "pk")
    )


def member_label(user_id: UUID) -> str | None:
    """The display name of a member of the current tenant; None for other users."""
    membership = (
        Membership.objects.select_related("user")
        .filter(user_id=user_id, tenant_id=require_tenant_id(), user__is_active=True)
        .first()
    )
    return membership.user.label if membership else None


def member_labels() -> list[tuple[UUID, str]]:
    """Every member of the current tenant who can sign in, by name. One query."""
    rows = Membership.objects.filter(tenant_id=require_tenant_id(), user__is_active=True)
    labels = [(row.user_id, row.user.label) for row in rows.select_related("user")]
    return sorted(labels, key=lambda row: row[1].casefold())
