"""Whether ingest was up: missing samples must not fire absence rules while the platform itself was down.

Each ingest process records every two seconds that it accepts requests. An absence counts only from where the current
uptime began.
"""

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DatabaseError, connection

log = structlog.get_logger(__name__)

RECORD_SECONDS = 2.0
#: Without a record for this long, ingest is down.
INGEST_DOWN_AFTER = timedelta(seconds=6)
_ROW = 1


@dataclass(frozen=True)
class IngestUptime:
    """Whether ingest is up, and since when without a gap.

    ``since`` is None without any record, as before the first start of ingest."""

    is_up: bool = True
    since: datetime | None = None

    def covers(self, moment: datetime) -> bool:
        """Whether ingest has been up without a gap since ``moment``."""
        return self.is_up and (self.since is None or self.since <= moment)


def ingest_uptime(at: datetime) -> IngestUptime:
    """Uptime of ingest in this installation, over all of its processes. One query.

    Durations are measured by the database's clock, because the clocks of hosts may differ.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT statement_timestamp() - until, statement_timestamp() - since"
            " FROM ingest_uptime WHERE id = %s",
            [_ROW],
        )
        row = cursor.fetchone()
    if row is None:
        return IngestUptime()
    since_last_record, uptime = row
    return IngestUptime(since_last_record <= INGEST_DOWN_AFTER, at - uptime)


def record_uptime() -> None:
    """Record that this process is up. Raises DatabaseError."""
    params: list[Any] = [_ROW, INGEST_DOWN_AFTER]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_uptime AS known (id, since, until)"
            " VALUES (%s, statement_timestamp(), statement_timestamp())"
            " ON CONFLICT (id) DO UPDATE SET until = greatest(known.until, excluded.until), since = CASE"
            " WHEN excluded.until - known.until > %s THEN excluded.since ELSE known.since END",
            params,
        )


def start_uptime_recorder() -> None:
    """Record the uptime in a daemon thread for as long as this process lives."""
    threading.Thread(target=_record_forever, name="uptime", daemon=True).start()


def _record_forever() -> None:
    is_recorded = True
    while True:
        try:
            record_uptime()
        except DatabaseError as error:
            connection.close()
            if is_recorded:  # once per outage
                log.warning("ingest_uptime_write_failed", error=type(error).__name__)
            is_recorded = False
        else:
            is_recorded = True
        time.sleep(RECORD_SECONDS)
