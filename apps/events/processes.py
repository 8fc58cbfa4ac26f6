"""Which processes of the platform run: each says so in the database, with facts that apps publish about it.

A rotation of keys asks whether everybody has the new one; pages show volumes that are nearly full.
"""

import atexit
import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import structlog
from django.db import DatabaseError, InterfaceError, connection
from django.db.models.functions import Now

from apps.core import clock
from apps.events.models import RunningProcess

log = structlog.get_logger(__name__)

EVERY_SECONDS = 10.0
#: A process that has been silent for longer was killed; with it ends what it could do.
SILENT_AFTER = timedelta(seconds=60)

_facts: dict[str, Callable[[], Any]] = {}
_announcement: "Announcement | None" = None


def publish(name: str, read: Callable[[], Any]) -> None:
    """Have every process say this of itself; ``read`` returns JSON and no secret. For apps, when they start."""
    _facts[name] = read


def read_facts() -> dict[str, Any]:
    """What this process says of itself."""
    return {name: read() for name, read in _facts.items()}


def announce(kind: str) -> "Announcement":
    """Say that this process runs, from now until it ends. Idempotent; after a fork each is its own."""
    global _announcement
    if _announcement is None or _announcement.pid != os.getpid():
        _announcement = Announcement(kind, started_at=clock.now())
        _announcement.start()
    return _announcement


class Announcement:
    """The row of this process and the thread that keeps it fresh."""

    def __init__(self, kind: str, *, started_at: datetime) -> None:
        self.id = uuid4()
        self.kind = kind[:60]
        self.pid = os.getpid()
        self.started_at = started_at
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="announce", daemon=True)

    def start(self) -> None:
        atexit.register(self.end)
        self._thread.start()

    def end(self) -> None:
        """Take the row away. Safe to call twice."""
        if self._ended.is_set() or os.getpid() != self.pid:
            return
        self._ended.set()
        self._thread.join(timeout=2)
        try:
            RunningProcess.objects.filter(pk=self.id).delete()
        except (DatabaseError, InterfaceError) as error:  # it is found silent a minute later
            log.info("process_end_not_recorded", error=type(error).__name__)
        finally:
            connection.close()

    def save(self) -> None:
        """Write the row. Raises DatabaseError."""
        RunningProcess.objects.update_or_create(
            pk=self.id,
            defaults={
                "kind": self.kind,
                "host": socket.gethostname()[:255],
                "pid": self.pid,
                "started_at": self.started_at,
                "seen_at": Now(),
                "facts": read_facts(),
            },
        )

    def _keep(self) -> None:
        is_recorded = True
        while not self._ended.is_set():
            try:
                self.save()
            except (DatabaseError, InterfaceError) as error:
                if is_recorded:  # once per outage
                    log.warning("process_not_recorded", error=type(error).__name__)
                is_recorded = False
            else:
                is_recorded = True
            finally:
                connection.close()
            self._ended.wait(EVERY_SECONDS)


def running_processes(*, silent_after: timedelta = SILENT_AFTER) -> list[RunningProcess]:
    """Those that said so lately, by the database's clock.

    A database that was away has heard nobody meanwhile: for a while after its start all of the last day count.
    """
    values: list[Any] = [silent_after]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT statement_timestamp(), statement_timestamp() - pg_postmaster_start_time() < %s",
            values,
        )
        now, has_just_started = cursor.fetchone()
    believed = timedelta(days=1) if has_just_started else silent_after
    rows = RunningProcess.objects.filter(seen_at__gte=now - believed)
    return list(rows.order_by("kind", "host", "pid"))
