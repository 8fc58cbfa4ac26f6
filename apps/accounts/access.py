"""Who is asking, in which tenant, with what right: made once per request, asked everywhere."""

from dataclasses import dataclass, replace
from typing import TypeVar

from django.db.models import Model, QuerySet

from apps.accounts.actors import Actor
from apps.accounts.limits import rows_within
from apps.accounts.models import ApiToken, BreakGlass, User
from apps.accounts.permissions import (
    LIMITED_TO,
    NAMED_ONLY,
    Permission,
    PlatformPermission,
    role_allows,
)
from apps.core.errors import Forbidden
from apps.tenancy.models import Tenant

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Access:
    """A member (or a member's token) acting in one tenant."""

    user: User
    tenant: Tenant
    role: str
    actor: Actor
    #: Sees only what was granted, and what is below it.
    is_limited: bool = False
    #: What the token is narrowed to; None: nothing narrows it.
    scopes: frozenset[str] | None = None
    #: The token that the caller shows; None for a person in their session.
    token: ApiToken | None = None
    #: Set while a platform operator is in the tenant: why, and until when.
    break_glass: BreakGlass | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the role gives this permission, and nothing narrows it away."""
        if self.is_limited and permission not in LIMITED_TO:
            return False
        if self.scopes is not None and permission not in self.scopes:
            return False
        if self.scopes is None and permission in NAMED_ONLY and self.actor.kind == "token":
            return False
        return role_allows(self.role, permission)

    def with_proof(self, *, is_fresh: bool) -> "Access":
        """The same access; its acts approve where logins are sent if it may, and who it is was proven just now."""
        may = self.may(Permission.CREDENTIALS_MANAGE) and self.may(Permission.LOGINS_APPROVE)
        return replace(self, actor=replace(self.actor, approves_logins=is_fresh and may))

    def require(self, permission: Permission) -> None:
        """Raise ``Forbidden`` unless the role gives this permission."""
        if not self.may(permission):
            raise Forbidden(permission=str(permission))

    def visible(self, rows: QuerySet[M], permission: Permission) -> QuerySet[M]:
        """The rows this member may see; row-level security has already hidden other tenants'."""
        if not self.may(permission):
            return rows.none()
        return rows.filter(rows_within(rows.model, self.user.id)) if self.is_limited else rows


@dataclass(frozen=True)
class PlatformAccess:
    """A platform operator outside of any tenant: sees the tenants' names, none of their rows."""

    user: User
    actor: Actor

    def may(self, permission: PlatformPermission) -> bool:
        """Whoever has this access has all of it."""
        return permission in PlatformPermission
