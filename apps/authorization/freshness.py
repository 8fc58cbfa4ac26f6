"""Recent proof of who one is: asked again before secrets, keys and roles are touched."""

from collections.abc import MutableMapping
from datetime import datetime, timedelta
from typing import Any

from apps.authorization.errors import ReauthenticationRequired

FRESH_FOR = timedelta(minutes=15)
PROVEN_AT = "proven_at"


def note_proof(session: MutableMapping[str, Any], at: datetime) -> None:
    """The person has just shown who they are: by password, code, passkey or identity provider."""
    session[PROVEN_AT] = at.timestamp()


def is_fresh(session: MutableMapping[str, Any], at: datetime) -> bool:
    """Whether the last proof is recent enough. One from the future (a clock set back) is none."""
    proven = session.get(PROVEN_AT)
    if not isinstance(proven, int | float):
        return False
    return 0 <= at.timestamp() - proven <= FRESH_FOR.total_seconds()


def require_fresh(session: MutableMapping[str, Any], at: datetime) -> None:
    """Raise ReauthenticationRequired unless the last proof is recent."""
    if not is_fresh(session, at):
        minutes = int(FRESH_FOR.total_seconds() // 60)
        raise ReauthenticationRequired(
            message=f"Confirm who you are first: the last time is more than {minutes} minutes ago."
        )
