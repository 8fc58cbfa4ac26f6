"""API tokens: made by a member or by another token, which gives no more and lasts no longer than it does itself."""

from collections.abc import Collection
from datetime import datetime

from apps.accounts.access import MemberAccess
from apps.accounts.errors import ScopeNotHeld
from apps.accounts.models import ApiToken
from apps.accounts.services import issue_token
from apps.authorization.permissions import LIMITED_TO, Permission, role_allows


def issue_token_as(
    *,
    access: MemberAccess,
    name: str,
    days: int,
    scopes: Collection[str] | None,
    at: datetime,
    ends_with_password: bool = False,
) -> tuple[ApiToken, str]:
    """Make a token for the caller, in the caller's tenant. Raises ScopeNotHeld.

    Without scopes it has what its maker has. A token's token ends with it: at the same time at the latest, and when
    it is revoked.
    """
    return issue_token(
        tenant=access.tenant,
        user=access.user,
        name=name,
        actor=access.actor,
        at=at,
        days=days,
        scopes=_scopes_within(access, scopes),
        parent=access.token,
        ends_with_password=ends_with_password,
    )


def require_role_within(access: MemberAccess, role: str, *, is_limited: bool) -> None:
    """Raise ScopeNotHeld when the role allows what the caller may not do.

    A token that is narrowed to ``members.manage`` would else make an admin, and through it reach everything.
    """
    given = {p for p in Permission if role_allows(role, p)}
    if is_limited:
        given &= LIMITED_TO
    _require_all(access, given)


def _scopes_within(access: MemberAccess, scopes: Collection[str] | None) -> list[str] | None:
    if scopes is None:
        return None if access.scopes is None else sorted(access.scopes)
    _require_all(access, {Permission(name) for name in scopes})
    return sorted(set(scopes))


def _require_all(access: MemberAccess, permissions: Collection[Permission]) -> None:
    lacking = sorted(str(permission) for permission in permissions if not access.may(permission))
    if lacking:
        raise ScopeNotHeld(
            message="This gives more than you may do yourself. Nothing was changed.",
            scopes=", ".join(lacking),
        )
