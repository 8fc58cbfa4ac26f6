"""The beat: many may run, the one that holds the advisory lock ticks.

The lock belongs to a session on a connection of its own (not through pgbouncer in transaction mode):
when the process dies, PostgreSQL frees it at once and the next beat takes over.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg2
import structlog
from celery import Celery
from celery.beat import Scheduler, Service
from django.db import connection
from prometheus_client import Gauge

log = structlog.get_logger(__name__)

LOCK = 0x15B_BEA7
TICKING = Gauge("ispvm_beat_ticking", "1 while this beat holds the lock.")
POLL_SECONDS = 0.5
WATCH_SECONDS = 2.0


class LockedBeat:
    """Waits for the lock, then ticks until it is stopped or loses the lock's connection."""

    def __init__(self, app: Celery) -> None:
        # The plain scheduler: what is due stands in the database, not in a file of this process.
        self.service = Service(app, max_interval=1, scheduler_cls=Scheduler)
        self.stopped = threading.Event()

    def stop(self) -> None:
        """Stop ticking and give the lock back."""
        self.stopped.set()
        self.service.stop()

    def run(self, ticking: Callable[[], None] = lambda: None) -> None:
        """Block until stopped; ``ticking`` is called once this beat holds the lock."""
        parameters = connection.get_connection_params()
        holder = psycopg2.connect(
            **{k: v for k, v in parameters.items() if k not in {"cursor_factory", "context"}}
        )
        try:
            holder.autocommit = True
            if not self._acquire(holder):
                return
            log.info("beat_ticking")
            TICKING.set(1)
            ticking()
            threading.Thread(target=self._watch, args=[holder], daemon=True).start()
            self.service.start()
        finally:
            TICKING.set(0)
            holder.close()

    def _acquire(self, holder: Any) -> bool:
        while not self.stopped.is_set():
            with holder.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
                if cursor.fetchone()[0]:
                    return True
            time.sleep(POLL_SECONDS)
        return False

    def _watch(self, holder: Any) -> None:
        while not self.stopped.wait(WATCH_SECONDS):
            try:
                with holder.cursor() as cursor:
                    cursor.execute("SELECT 1")
            except psycopg2.Error:
                log.exception("beat_lock_lost")
                self.stop()
