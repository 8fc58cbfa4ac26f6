"""Who belongs to a tenant, as what: invited, changed, removed. There is always an admin left."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apps.accounts.actors import Actor
from apps.accounts.choices import Role
from apps.accounts.errors import AlreadyMember, CannotBeLimited, LastAdmin
from apps.accounts.models import ApiToken, Membership, User
from apps.accounts.services import create_user
from apps.accounts.visits import refuse_in_visit
from apps.audit.services import record
from apps.tenancy.context import require_tenant_id


def invite_member(
    *,
    email: str,
    name: str,
    role: str,
    is_limited: bool,
    password: str | None,
    actor: Actor,
    at: datetime,
) -> Membership:
    """Give somebody a role in this tenant. Raises AlreadyMember, CannotBeLimited.

    A person who is not known yet is made, with the password if one is given; of a person who is known (in another
    tenant) nothing is changed: no tenant sets the password or the name that they use elsewhere.
    """
    refuse_in_visit(actor)
    tenant_id = require_tenant_id()
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        user = create_user(email=email, password=password, full_name=name)
    if Membership.objects.filter(tenant_id=tenant_id, user=user).exists():
        raise AlreadyMember
    check_limit(role, is_limited=is_limited)
    member = Membership.objects.create(
        tenant_id=tenant_id, user=user, role=role, is_limited=is_limited
    )
    _record("member.invited", member, actor, at)
    return member


def change_member(
    *, member: Membership, changes: Mapping[str, Any], actor: Actor, at: datetime
) -> Membership:
    """Set a member's role or limit; acts on their next request. Raises LastAdmin, CannotBeLimited.

    Locks: the tenant's admins.
    """
    refuse_in_visit(actor)
    role = changes.get("role", member.role)
    is_limited = changes.get("is_limited", member.is_limited)
    check_limit(role, is_limited=is_limited)
    if role != Role.ADMIN:
        _keep_an_admin(member)
    member.role, member.is_limited = role, is_limited
    member.save(update_fields=["role", "is_limited"])
    _record("member.role_set", member, actor, at)
    return member


def remove_member(*, member: Membership, actor: Actor, at: datetime) -> None:
    """End a membership with its grants and tokens; acts on the next request. Raises LastAdmin.

    Locks: the tenant's admins.
    """
    _keep_an_admin(member)
    tokens = ApiToken.objects.filter(
        tenant_id=member.tenant_id, user_id=member.user_id, revoked_at=None
    )
    tokens.update(revoked_at=at)
    _record("member.removed", member, actor, at)
    member.delete()


def _keep_an_admin(member: Membership) -> None:
    # Two admins who demote each other at once must not both succeed.
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
