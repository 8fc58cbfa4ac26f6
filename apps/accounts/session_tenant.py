"""The tenant that a session works in: set at sign-in or chosen by its person, never picked by an order of tenants."""

from collections.abc import MutableMapping
from typing import Any
from uuid import UUID

from apps.accounts.models import User
from apps.accounts.selectors import tenants_of

SESSION_TENANT = "tenant_id"
#: The person must choose. An absent key is a session that was opened before sessions were bound at sign-in.
NOT_CHOSEN = ""


def bind_session(session: MutableMapping[str, Any], user: User) -> None:
    """At sign-in: who belongs to exactly one tenant works there, everybody else chooses."""
    found = tenants_of(user)
    session[SESSION_TENANT] = str(found[0].pk) if len(found) == 1 else NOT_CHOSEN


def session_tenant_id(session: MutableMapping[str, Any], user: User) -> UUID | None:
    """The tenant that the session is bound to; None while its person has not chosen.

    Whether the person still belongs there is not checked here. A membership that ended leaves the session bound to
    that tenant: it never moves to another one by itself.
    """
    if SESSION_TENANT not in session and len(found := tenants_of(user)) == 1:
        session[SESSION_TENANT] = str(found[0].pk)
    try:
        return UUID(session.get(SESSION_TENANT, NOT_CHOSEN))
    except ValueError:
        return None
