"""Whether agents could be heard: a platform that was away itself must not call them silent.

Each ingest process says every two seconds that it listens. A silence counts only from where the listening began.
"""

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DatabaseError, connection

log = structlog.get_logger(__name__)

EVERY_SECONDS = 2.0
#: Nobody has said for so long that they listen: nobody does.
DEAF_AFTER = timedelta(seconds=6)
_ROW = 1


@dataclass(frozen=True)
class Ears:
    """What is known at a moment: whether somebody listens, and since when without a gap.

    ``since`` is None where nothing has ever been said, as before the first start of ingest."""

    are_open: bool = True
    since: datetime | None = None

    def heard_all_since(self, moment: datetime) -> bool:
        """Whether whoever spoke after ``moment`` was heard."""
        return self.are_open and (self.since is None or self.since <= moment)


def ears(at: datetime) -> Ears:
    """Those of the whole installation: it has one ingest, in as many processes as it needs. One query.

    Spans are the database's, as it noted them: hosts whose clocks differ are no less able to hear.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT statement_timestamp() - until, statement_timestamp() - since"
            " FROM ingest_listening WHERE id = %s",
            [_ROW],
        )
        row = cursor.fetchone()
    if row is None:
        return Ears()
    quiet, lasted = row
    return Ears(quiet <= DEAF_AFTER, at - lasted)


def note_listening() -> None:
    """Say that this process listens. Raises DatabaseError."""
    said: list[Any] = [_ROW, DEAF_AFTER]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_listening AS known (id, since, until)"
            " VALUES (%s, statement_timestamp(), statement_timestamp())"
            " ON CONFLICT (id) DO UPDATE SET until = greatest(known.until, excluded.until), since = CASE"
            " WHEN excluded.until - known.until > %s THEN excluded.since ELSE known.since END",
            said,
        )


def keep_listening() -> None:
    """Start saying so, for as long as this process lives."""
    threading.Thread(target=_keep, name="listening", daemon=True).start()


def _keep() -> None:
    is_noted = True
    while True:
        try:
            note_listening()
        except DatabaseError as error:
            connection.close()
            if is_noted:  # once per outage
                log.warning("listening_not_noted", error=type(error).__name__)
            is_noted = False
        else:
            is_noted = True
        time.sleep(EVERY_SECONDS)
