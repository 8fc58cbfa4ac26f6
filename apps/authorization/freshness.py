"""Recent authentication: required again before secrets, keys and roles are changed."""

from collections.abc import MutableMapping
from datetime import datetime, timedelta
from typing import Any

from apps.authorization.errors import ReauthenticationRequired

FRESH_FOR = timedelta(minutes=15)
AUTHENTICATED_AT = "authenticated_at"


def record_authentication(session: MutableMapping[str, Any], at: datetime) -> None:
    """Store that the user has just authenticated, by password, code, passkey or identity provider."""
    session[AUTHENTICATED_AT] = at.timestamp()


def is_fresh(session: MutableMapping[str, Any], at: datetime) -> bool:
    """Whether the last authentication is recent. One in the future (a clock set back) does not count."""
    authenticated_at = session.get(AUTHENTICATED_AT)
    if not isinstance(authenticated_at, int | float):
        return False
    return 0 <= at.timestamp() - authenticated_at <= FRESH_FOR.total_seconds()


def require_fresh(session: MutableMapping[str, Any], at: datetime) -> None:
    """Raise ReauthenticationRequired unless the last authentication is recent."""
    if not is_fresh(session, at):
        minutes = int(FRESH_FOR.total_seconds() // 60)
        raise ReauthenticationRequired(
            message=f"Confirm your identity first: your last sign-in is more than {minutes} minutes ago."
        )
