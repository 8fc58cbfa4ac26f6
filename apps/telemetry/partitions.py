"""Daily partitions of the samples. Only the owner role creates and drops them.

They are in a schema that the app role has no access to: a partition does not inherit its parent's policy, so direct
access would show every tenant's rows. Through the parent the policy applies.

No statement here locks the parent table against reads or writes: a statement that waits for such a lock blocks all
later ones, for as long as a dump runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.utils import OperationalError

from apps.events.retention import LOCK_NOT_AVAILABLE

SCHEMA = "ispvm_parts"
PARENT = "telemetry_sample"
RETENTION_DAYS = 30
#: Samples may arrive this late (an agent's buffer after a long outage), so partitions are needed this far back.
LATE_DAYS = 7
#: A week: partition maintenance may be blocked for days without losing samples.
DAYS_AHEAD = 7
LOCK_TIMEOUT_MS = 200

_CREATE_PARTITION = """
CREATE TABLE {name} (LIKE {parent} INCLUDING ALL);
ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {name} FORCE ROW LEVEL SECURITY;
ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM (%s) TO (%s)
"""


def name_of(day: date) -> str:
    """The partition of a day (UTC)."""
    return f"{SCHEMA}.sample_{day:%Y%m%d}"


def limit_waiting(cursor: Any) -> None:
    """Set this session's lock timeout to 200 ms."""
    cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_TIMEOUT_MS}ms"])


def ensure(cursor: Any, today: date) -> tuple[list[str], list[str]]:
    """Create the partitions that samples may need, from late data to fast clocks; returns the new ones and those that
    a lock blocked.

    Attaching a table takes SHARE UPDATE EXCLUSIVE on the parent, which does not conflict with a dump or with ingest;
    CREATE TABLE ... PARTITION OF would take ACCESS EXCLUSIVE. In autocommit, each partition is one transaction.
    """
    created: list[str] = []
    blocked: list[str] = []
    for offset in range(-LATE_DAYS - 1, DAYS_AHEAD + 1):
        day = today + timedelta(days=offset)
        name = name_of(day)
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone()[0] is not None:
            continue
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        with _recording_lock_timeouts(name, blocked):
            # Defense in depth, should the schema ever be granted: without a policy no row is visible.
            cursor.execute(
                _CREATE_PARTITION.format(name=name, parent=PARENT),
                [start, start + timedelta(days=1)],
            )
            created.append(name)
    return created, blocked


def drop_expired(cursor: Any, today: date) -> tuple[list[str], list[str]]:
    """Drop the partitions past the longest retention; returns them and those that a lock blocked.

    Each is detached concurrently first (the parent stays usable), then dropped: run outside of a transaction.
    Idempotent: after an interruption, the next run continues.
    """
    oldest = name_of(today - timedelta(days=RETENTION_DAYS))
    cursor.execute(
        "SELECT n.nspname || '.' || c.relname, i.inhrelid IS NOT NULL, coalesce(i.inhdetachpending, false)"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " LEFT JOIN pg_inherits i ON i.inhrelid = c.oid"
        " WHERE n.nspname = %s AND c.relkind = 'r' ORDER BY 3 DESC, 1",
        [SCHEMA],
    )
    dropped: list[str] = []
    blocked: list[str] = []
    can_detach = True
    for name, is_attached, is_half_detached in cursor.fetchall():
        if name >= oldest:
            continue
        if is_attached and not can_detach:
            blocked.append(name)
            continue
        with _recording_lock_timeouts(name, blocked):
            if is_attached:
                # PostgreSQL detaches one at a time: none can be detached while another is half detached.
                can_detach = False
                mode = "FINALIZE" if is_half_detached else "CONCURRENTLY"
                cursor.execute(f"ALTER TABLE {PARENT} DETACH PARTITION {name} {mode}")
                can_detach = True
            cursor.execute(f"DROP TABLE {name}")
            dropped.append(name)
    return dropped, blocked


@contextmanager
def _recording_lock_timeouts(name: str, blocked: list[str]) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) != LOCK_NOT_AVAILABLE:
            raise
        blocked.append(name)
