"""Start-up checks: a process refuses to serve with a database role that bypasses row-level security."""

from collections.abc import Callable
from threading import Event

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection

log = structlog.get_logger(__name__)

RETRY_SECONDS = 2.0

_ROLE_QUERY = """
SELECT r.rolname, r.rolsuper, r.rolbypassrls,
       EXISTS (SELECT 1 FROM pg_class c WHERE c.relowner = r.oid AND c.relrowsecurity),
       EXISTS (SELECT 1 FROM pg_roles o
               WHERE o.rolname <> r.rolname AND pg_has_role(r.oid, o.oid, 'MEMBER')
                 AND (o.rolsuper OR o.rolbypassrls))
FROM pg_roles r WHERE r.rolname = current_user
"""


class StartupCheckFailed(ImproperlyConfigured):
    """A start-up check failed; the text is one sentence for the operator."""


class RoleBypassesRowSecurity(StartupCheckFailed):
    """The database role can read every tenant's rows."""


_checks: list[Callable[[], object]] = []


def register_check(check: Callable[[], object]) -> None:
    """Register a start-up check that raises ``StartupCheckFailed``. Called by upper apps in ``ready()``."""
    _checks.append(check)


def run_startup_checks() -> None:
    """Raise ``StartupCheckFailed`` unless this process may serve."""
    check_database_role()
    for check in _checks:
        check()


def wait_for_startup_checks(stopped: Event) -> None:
    """``run_startup_checks``, waiting for the database if it is unavailable, until stopped."""
    while not stopped.is_set():
        try:
            run_startup_checks()
        except (OperationalError, InterfaceError) as error:
            log.warning("database_unavailable", error=" ".join(str(error).split()))
            connection.close()
            stopped.wait(RETRY_SECONDS)
        else:
            return


def check_database_role() -> None:
    """Raise ``RoleBypassesRowSecurity`` unless the app connection is an ordinary role that owns no tenant table."""
    with connection.cursor() as cursor:
        cursor.execute(_ROLE_QUERY)
        role, is_superuser, bypasses, owns_tables, may_become = cursor.fetchone()
    reasons = [
        text
        for holds, text in (
            (is_superuser, "is a superuser"),
            (bypasses, "has BYPASSRLS"),
            (owns_tables, "owns tenant tables"),
            (may_become, "is a member of a role that can bypass row-level security"),
        )
        if holds
    ]
    if reasons:
        raise RoleBypassesRowSecurity(
            f"Refusing to start: the database role {role!r} {' and '.join(reasons)}. "
            "DATABASE_URL must name the app role (ispvm_app)."
        )
