"""Daily partitions of the samples. Only the owner role makes and drops them.

They live in a schema that the app role cannot name: a partition does not inherit its parent's policy, so direct
access would show every tenant's rows. Through the parent the policy holds.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

SCHEMA = "ispvm_parts"
RETENTION_DAYS = 30
#: A sample may come this late (an agent's buffer after a long outage), and so may a day's partition be needed.
LATE_DAYS = 7
DAYS_AHEAD = 3


def name_of(day: date) -> str:
    """The partition that holds a day (UTC)."""
    return f"{SCHEMA}.sample_{day:%Y%m%d}"


def ensure(cursor: Any, today: date) -> list[str]:
    """Make the partitions that samples may need from late data to early clocks; returns the new ones."""
    made = []
    for offset in range(-LATE_DAYS - 1, DAYS_AHEAD + 1):
        day = today + timedelta(days=offset)
        name = name_of(day)
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone()[0] is not None:
            continue
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        cursor.execute(
            f"CREATE TABLE {name} PARTITION OF telemetry_sample FOR VALUES FROM (%s) TO (%s)",
            [start, start + timedelta(days=1)],
        )
        # A second wall, should anybody ever grant the schema: no policy means no row.
        cursor.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
        cursor.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
        made.append(name)
    return made


def drop_expired(cursor: Any, today: date) -> list[str]:
    """Drop the partitions past the longest retention; returns them."""
    oldest = name_of(today - timedelta(days=RETENTION_DAYS))
    cursor.execute(
        "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1",
        [SCHEMA],
    )
    expired = [name for (name,) in cursor.fetchall() if name < oldest]
    for name in expired:
        cursor.execute(f"DROP TABLE {name}")
    return expired
