"""The running processes of the platform: each writes a heartbeat row with facts published by apps.

Key rotation checks that every process has the new key; pages show volumes that are nearly full.
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
#: A process without a heartbeat for this long is no longer running.
OFFLINE_AFTER = timedelta(seconds=60)

_facts: dict[str, Callable[[], Any]] = {}
_heartbeat: "ProcessHeartbeat | None" = None


def publish_fact(name: str, read: Callable[[], Any]) -> None:
    """Add a fact to the row of every process; ``read`` returns JSON without secrets. Called by apps in ``ready()``."""
    _facts[name] = read


def read_facts() -> dict[str, Any]:
    """The facts of this process."""
    return {name: read() for name, read in _facts.items()}


def start_process_heartbeat(kind: str) -> "ProcessHeartbeat":
    """Write heartbeats of this process until it ends. Idempotent; a forked process gets its own row."""
    global _heartbeat
    if _heartbeat is None or _heartbeat.pid != os.getpid():
        _heartbeat = ProcessHeartbeat(kind, started_at=clock.now())
        _heartbeat.start()
    return _heartbeat


class ProcessHeartbeat:
    """The row of this process and the thread that updates it."""

    def __init__(self, kind: str, *, started_at: datetime) -> None:
        self.id = uuid4()
        self.kind = kind[:60]
        self.pid = os.getpid()
        self.started_at = started_at
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._update_periodically, name="process-heartbeat", daemon=True
        )

    def start(self) -> None:
        atexit.register(self.end)
        self._thread.start()

    def end(self) -> None:
        """Delete the row. Idempotent."""
        if self._ended.is_set() or os.getpid() != self.pid:
            return
        self._ended.set()
        self._thread.join(timeout=2)
        try:
            RunningProcess.objects.filter(pk=self.id).delete()
        except (DatabaseError, InterfaceError) as error:  # the row expires a minute later
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

    def _update_periodically(self) -> None:
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


def running_processes(*, offline_after: timedelta = OFFLINE_AFTER) -> list[RunningProcess]:
    """Processes with a recent heartbeat, by the database's clock.

    No heartbeat could be written while the database was down: shortly after its start, all rows of the last day count.
    """
    values: list[Any] = [offline_after]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT statement_timestamp(), statement_timestamp() - pg_postmaster_start_time() < %s",
            values,
        )
        now, has_just_started = cursor.fetchone()
    max_age = timedelta(days=1) if has_just_started else offline_after
    rows = RunningProcess.objects.filter(seen_at__gte=now - max_age)
    return list(rows.order_by("kind", "host", "pid"))
