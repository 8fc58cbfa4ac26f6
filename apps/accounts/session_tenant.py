"""The tenant of a session: set at sign-in or chosen by the user; there is no default among several."""

from collections.abc import MutableMapping
from typing import Any
from uuid import UUID

from apps.accounts.models import User
from apps.accounts.selectors import tenants_of

SESSION_TENANT = "tenant_id"
#: The user must choose. A missing key: the session was opened before sessions were bound at sign-in.
NOT_CHOSEN = ""


def bind_session(session: MutableMapping[str, Any], user: User) -> None:
    """At sign-in: a member of exactly one tenant is bound to it, all others must choose."""
    tenants = tenants_of(user)
    session[SESSION_TENANT] = str(tenants[0].pk) if len(tenants) == 1 else NOT_CHOSEN


def session_tenant_id(session: MutableMapping[str, Any], user: User) -> UUID | None:
    """The tenant that the session is bound to; None until one is chosen.

    Membership is not checked here. A session stays bound after the membership ended: it never switches by itself.
    """
    if SESSION_TENANT not in session and len(tenants := tenants_of(user)) == 1:
        session[SESSION_TENANT] = str(tenants[0].pk)
    try:
        return UUID(session.get(SESSION_TENANT, NOT_CHOSEN))
    except ValueError:
        return None
