"""PostgreSQL advisory locks. Every use is listed here, so that no two uses share a key.

Locks of the installation are numbers; locks of a tenant are the 64-bit hash of ``<name>:<tenant id>``. Processes of two
releases run side by side during an upgrade: a key in use is never changed.
"""

from enum import IntEnum, StrEnum
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from apps.tenancy.context import require_tenant_id


class InstallationLock(IntEnum):
    """One holder per installation."""

    BEAT = 0x15B_BEA7  # session: one scheduler ticks
    KEEPER = 0x15B_CEE9  # session: one keeper maintains partitions and retention
    OPERATORS = 0x15B_0BE1  # transaction: commands and the keeper that change platform operators


class TenantLock(StrEnum):
    """One holder per tenant, until the end of its transaction."""

    ASSIGNMENTS = (
        "assignments"  # which agents poll which devices: a change is attributed to one actor
    )
    CONNECTION_TESTS = "connection_tests"  # counting before adding
    CORRELATE = "correlate"
    DISPATCH = "dispatch"  # outbox events, in order
    EVALUATE = "evaluate"


def lock(key: InstallationLock | TenantLock, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Wait for a lock and hold it until the end of the transaction."""
    _call("SELECT pg_advisory_xact_lock({})", key, using)


def try_lock(key: InstallationLock | TenantLock, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Hold a lock until the end of the transaction, unless another transaction holds it."""
    return bool(_call("SELECT pg_try_advisory_xact_lock({})", key, using))


def try_session_lock(cursor: Any, key: InstallationLock) -> bool:
    """Hold a lock until it is released or the cursor's connection ends, unless another session holds it.

    Not through pgbouncer in transaction mode, which shares sessions.
    """
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [key.value])
    return bool(cursor.fetchone()[0])


def release_session_lock(cursor: Any, key: InstallationLock) -> None:
    cursor.execute("SELECT pg_advisory_unlock(%s)", [key.value])


def _call(statement: str, key: InstallationLock | TenantLock, using: str) -> Any:
    number, value = "%s", key.value
    if isinstance(key, TenantLock):
        number, value = "hashtextextended(%s, 0)", f"{key}:{require_tenant_id()}"
    if not connections[using].in_atomic_block:
        raise RuntimeError("A lock of a transaction needs one.")
    with connections[using].cursor() as cursor:
        cursor.execute(statement.format(number), [value])
        return cursor.fetchone()[0]
