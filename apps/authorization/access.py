"""The access of a request: user, tenant, role. Built once per request; every permission check uses it."""

from dataclasses import dataclass, replace
from typing import Self, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Model, QuerySet

from apps.authorization.actors import Actor
from apps.authorization.limits import rows_within
from apps.authorization.permissions import (
    EXPLICIT_ONLY,
    LIMITED_PERMISSIONS,
    Permission,
    role_allows,
)
from apps.core.errors import Forbidden
from apps.tenancy.models import Tenant

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Access:
    """A member (or a member's token) acting in one tenant."""

    user: AbstractBaseUser
    tenant: Tenant
    role: str
    actor: Actor
    #: Sees only granted sites and devices and what belongs to them.
    is_limited: bool = False
    #: Scopes of the token; None: all permissions of the role.
    scopes: frozenset[str] | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the role, the limit and the scopes allow this permission."""
        if self.is_limited and permission not in LIMITED_PERMISSIONS:
            return False
        if self.scopes is not None and permission not in self.scopes:
            return False
        if self.scopes is None and permission in EXPLICIT_ONLY and self.actor.kind == "token":
            return False
        return role_allows(self.role, permission)

    def with_login_approval(self, *, is_fresh: bool) -> Self:
        """The same access; ``approves_logins`` is set if it has the permission and recent authentication."""
        may = self.may(Permission.CREDENTIALS_MANAGE) and self.may(Permission.LOGINS_APPROVE)
        return replace(self, actor=replace(self.actor, approves_logins=is_fresh and may))

    def require(self, permission: Permission) -> None:
        """Raise ``Forbidden`` without this permission."""
        if not self.may(permission):
            raise Forbidden(permission=str(permission))

    def visible(self, rows: QuerySet[M], permission: Permission) -> QuerySet[M]:
        """The rows this member may see; row-level security has already hidden other tenants'."""
        if not self.may(permission):
            return rows.none()
        return rows.filter(rows_within(rows.model, self.user.pk)) if self.is_limited else rows
