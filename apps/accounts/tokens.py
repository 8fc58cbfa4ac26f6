"""API tokens: issued within the access of the caller (a member or another token), with a limited request rate."""

from collections.abc import Collection
from datetime import datetime

from django.conf import settings

from apps.accounts.access import MemberAccess
from apps.accounts.errors import ScopeNotHeld
from apps.accounts.models import ApiToken
from apps.accounts.services import issue_token
from apps.authorization.permissions import LIMITED_PERMISSIONS, Permission, role_allows
from apps.core.buckets import Demand, Rate, demand

#: A token may send a quarter of its requests per minute in one burst.
BURST_DIVISOR = 4


def admit_token(token_id: str) -> None:
    """Count one request of a token, in a bucket that all web processes share. Raises RateExceeded."""
    per_minute = settings.ISPVM_TOKEN_REQUESTS_PER_MINUTE
    rate = Rate(per_minute / 60, max(1, per_minute // BURST_DIVISOR))
    demand([Demand(f"token:{token_id}", rate)])


def issue_token_as(
    *,
    access: MemberAccess,
    name: str,
    days: int,
    scopes: Collection[str] | None,
    at: datetime,
    ends_with_password: bool = False,
) -> tuple[ApiToken, str]:
    """Create a token for the caller, in the caller's tenant. Raises ScopeNotHeld.

    Without scopes it has the caller's scopes. A token created with another token expires with it at the latest, and
    is revoked together with it.
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
    """Raise ScopeNotHeld when the role has permissions that the caller lacks.

    Otherwise a token with the scope ``members.manage`` alone could create an admin and so gain every permission.
    """
    granted = {p for p in Permission if role_allows(role, p)}
    if is_limited:
        granted &= LIMITED_PERMISSIONS
    _require_all(access, granted)


def _scopes_within(access: MemberAccess, scopes: Collection[str] | None) -> list[str] | None:
    if scopes is None:
        return None if access.scopes is None else sorted(access.scopes)
    _require_all(access, {Permission(name) for name in scopes})
    return sorted(set(scopes))


def _require_all(access: MemberAccess, permissions: Collection[Permission]) -> None:
    missing = sorted(str(permission) for permission in permissions if not access.may(permission))
    if missing:
        raise ScopeNotHeld(
            message="This grants permissions that you do not have. Nothing was changed.",
            scopes=", ".join(missing),
        )
