"""Daily partitions of the samples. Only the owner role makes and drops them.

They live in a schema that the app role cannot name: a partition does not inherit its parent's policy, so direct
access would show every tenant's rows. Through the parent the policy holds.

No statement here locks the parent table against reads or writes: whatever waits for such a lock has everybody who comes
later queue behind it, for as long as a dump runs.
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
#: A sample may come this late (an agent's buffer after a long outage), and so may a day's partition be needed.
LATE_DAYS = 7
#: A week: partition work may be held up for days and no sample lacks its place.
DAYS_AHEAD = 7
LOCK_TIMEOUT_MS = 200

_MAKE = """
CREATE TABLE {name} (LIKE {parent} INCLUDING ALL);
ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {name} FORCE ROW LEVEL SECURITY;
ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM (%s) TO (%s)
"""


def name_of(day: date) -> str:
    """The partition that holds a day (UTC)."""
    return f"{SCHEMA}.sample_{day:%Y%m%d}"


def limit_waiting(cursor: Any) -> None:
    """Have this session give up after 200 ms without a lock."""
    cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_TIMEOUT_MS}ms"])


def ensure(cursor: Any, today: date) -> tuple[list[str], list[str]]:
    """Make the partitions that samples may need from late data to early clocks; returns the new ones and those that
    somebody's lock kept from being made.

    Attaching a table takes SHARE UPDATE EXCLUSIVE on the parent, which a dump and ingest leave free; CREATE TABLE ...
    PARTITION OF would take ACCESS EXCLUSIVE. Each partition is one transaction where the session commits by itself.
    """
    made: list[str] = []
    held_up: list[str] = []
    for offset in range(-LATE_DAYS - 1, DAYS_AHEAD + 1):
        day = today + timedelta(days=offset)
        name = name_of(day)
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone()[0] is not None:
            continue
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        with _noting_locks(name, held_up):
            # The second wall, should anybody ever grant the schema: no policy means no row.
            cursor.execute(
                _MAKE.format(name=name, parent=PARENT), [start, start + timedelta(days=1)]
            )
            made.append(name)
    return made, held_up


def drop_expired(cursor: Any, today: date) -> tuple[list[str], list[str]]:
    """Drop the partitions past the longest retention; returns them and those that somebody's lock keeps.

    Detached concurrently first (the parent stays usable), then dropped, each on its own: run outside of a transaction.
    Idempotent: killed in between, the next run goes on.
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
    held_up: list[str] = []
    can_detach = True
    for name, is_attached, is_half_detached in cursor.fetchall():
        if name >= oldest:
            continue
        if is_attached and not can_detach:
            held_up.append(name)
            continue
        with _noting_locks(name, held_up):
            if is_attached:
                # PostgreSQL detaches one at a time: while one is half detached no other can be.
                can_detach = False
                how = "FINALIZE" if is_half_detached else "CONCURRENTLY"
                cursor.execute(f"ALTER TABLE {PARENT} DETACH PARTITION {name} {how}")
                can_detach = True
            cursor.execute(f"DROP TABLE {name}")
            dropped.append(name)
    return dropped, held_up


@contextmanager
def _noting_locks(name: str, held_up: list[str]) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) != LOCK_NOT_AVAILABLE:
            raise
        held_up.append(name)
