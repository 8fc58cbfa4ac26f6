"""The access of a member, and of a platform operator outside of tenants."""

from dataclasses import dataclass

from apps.accounts.models import ApiToken, BreakGlass, User
from apps.authorization.access import Access
from apps.authorization.actors import Actor
from apps.authorization.permissions import PlatformPermission


@dataclass(frozen=True)
class MemberAccess(Access):
    """An access with the rows of accounts behind it."""

    user: User
    #: The API token of the request; None for a session.
    token: ApiToken | None = None
    #: The access session of a platform operator.
    break_glass: BreakGlass | None = None


def member_access(access: Access) -> MemberAccess:
    """The access of a request as accounts built it. Raises TypeError for any other."""
    if not isinstance(access, MemberAccess):
        raise TypeError(type(access))
    return access


@dataclass(frozen=True)
class PlatformAccess:
    """A platform operator outside of any tenant: may list tenants, sees none of their rows."""

    user: User
    actor: Actor

    def may(self, permission: PlatformPermission) -> bool:
        """Platform operators have every platform permission."""
        return permission in PlatformPermission
