"""Members of a tenant: changing and removing them. The last admin is kept. Adding members: ``invitations``."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from apps.accounts.access_sessions import refuse_in_access_session
from apps.accounts.errors import CannotBeLimited, LastAdmin
from apps.accounts.models import ApiToken, Membership, User
from apps.accounts.users import end_local_account, local_account_name
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.tenancy.context import require_tenant_id
from apps.tenancy.models import Tenant


def members_of_address(email: str) -> QuerySet[Membership]:
    """Members of the current tenant with this address."""
    tenant = Tenant.objects.get(pk=require_tenant_id())
    names = Q(user__email__iexact=email) | Q(user__email__iexact=local_account_name(tenant, email))
    return Membership.objects.filter(names, tenant=tenant)


def change_member(
    *, member: Membership, changes: Mapping[str, Any], actor: Actor, at: datetime
) -> Membership:
    """Set a member's role or limit; takes effect on their next request. Raises LastAdmin, CannotBeLimited.

    Locks: the tenant's admins.
    """
    refuse_in_access_session(actor)
    role = changes.get("role", member.role)
    is_limited = changes.get("is_limited", member.is_limited)
    check_limit(role, is_limited=is_limited)
    if role != Role.ADMIN:
        _require_remaining_admin(member)
    member.role, member.is_limited = role, is_limited
    member.save(update_fields=["role", "is_limited"])
    _record("member.role_set", member, actor, at)
    return member


def remove_member(*, member: Membership, actor: Actor, at: datetime) -> None:
    """Delete a membership with its grants, revoke its tokens, and end an account that is valid for this tenant only.

    Takes effect on the next request. Raises LastAdmin. Locks: the tenant's admins, then the user, so that a token
    revoked here cannot issue another one concurrently.
    """
    _require_remaining_admin(member)
    User.objects.select_for_update(no_key=True).only("pk").get(pk=member.user_id)
    tokens = ApiToken.objects.filter(
        tenant_id=member.tenant_id, user_id=member.user_id, revoked_at=None
    )
    tokens.update(revoked_at=at)
    user = member.user
    _record("member.removed", member, actor, at)
    member.delete()
    end_local_account(user=user, actor=actor, at=at)


def _require_remaining_admin(member: Membership) -> None:
    # Locked, because two admins who demote each other concurrently must not both succeed.
    admins = list(
        Membership.objects.select_for_update(of=("self",))
        .filter(tenant_id=member.tenant_id, role=Role.ADMIN)
        .select_related("user")
        .order_by("pk")
    )
    is_admin = any(admin.pk == member.pk for admin in admins)
    if is_admin and not any(a.user.is_active for a in admins if a.pk != member.pk):
        raise LastAdmin(message="A tenant keeps at least one admin who can sign in.")


def check_limit(role: str, *, is_limited: bool) -> None:
    """Raise CannotBeLimited for a role that sees everything."""
    if is_limited and role == Role.ADMIN:
        raise CannotBeLimited(message="An admin sees everything: choose another role first.")


def _record(action: str, member: Membership, actor: Actor, at: datetime) -> None:
    detail = {"role": str(member.role), "is_limited": member.is_limited}
    record(action=action, actor=actor, entity=("user", member.user_id), at=at, detail=detail)
