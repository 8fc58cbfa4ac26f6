"""The beat: several may run; only the one that holds the advisory lock schedules tasks.

The lock belongs to a session on a connection of its own (not through pgbouncer in transaction mode):
when the process dies, PostgreSQL releases it at once and the next beat takes over.
"""

import threading
from collections.abc import Callable
from typing import Any

import psycopg2
import structlog
from celery import Celery
from celery.beat import Scheduler, Service
from django.db import connection
from prometheus_client import Gauge

from apps.core import liveness
from apps.tenancy.locks import InstallationLock, try_session_lock

log = structlog.get_logger(__name__)

TICKING = Gauge("ispvm_beat_ticking", "1 while this beat holds the lock.")
POLL_SECONDS = 0.5
WATCH_SECONDS = 2.0
#: TCP keepalives: the kernel detects a server that disappeared without closing the connection.
CONNECTION_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class WatchedScheduler(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Celery's in-memory scheduler, with a watchdog. Due work is stored in the database, not in a schedule file."""

    def tick(self, *args: Any, **options: Any) -> float:
        with liveness.process.working("tick"):
            return float(super().tick(*args, **options))


class LockedBeat:
    """Waits for the lock, then ticks until stopped; reconnects if the connection is lost."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._service: Service | None = None
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Stop ticking and release the lock."""
        self._stopped.set()
        if self._service is not None:
            self._service.stop()

    def run(self, on_acquired: Callable[[], None] = lambda: None) -> None:
        """Block until stopped; ``on_acquired`` is called each time this beat acquires the lock."""
        is_logged = False
        while not self._stopped.is_set():
            try:
                self._hold_and_tick(on_acquired)
                is_logged = False
            except psycopg2.Error as error:
                if not is_logged:  # once per outage
                    log.warning("beat_database_unavailable", error=" ".join(str(error).split()))
                is_logged = True
            self._stopped.wait(POLL_SECONDS)

    def _hold_and_tick(self, on_acquired: Callable[[], None]) -> None:
        """Until stopped or the lock is lost. Raises psycopg2.Error."""
        params = connection.get_connection_params()
        params = {k: v for k, v in params.items() if k not in {"cursor_factory", "context"}}
        lock_connection = psycopg2.connect(**{**params, **CONNECTION_OPTIONS})
        stopped_ticking = threading.Event()
        try:
            lock_connection.autocommit = True
            if not self._acquire(lock_connection):
                return
            service = Service(self._app, max_interval=1, scheduler_cls=WatchedScheduler)
            self._service = service
            if self._stopped.is_set():
                return
            log.info("beat_ticking")
            TICKING.set(1)
            on_acquired()
            watch = threading.Thread(
                target=self._watch, args=[lock_connection, service, stopped_ticking], daemon=True
            )
            watch.start()
            service.start()
            stopped_ticking.set()
            watch.join()
        finally:
            stopped_ticking.set()
            TICKING.set(0)
            lock_connection.close()

    def _acquire(self, lock_connection: Any) -> bool:
        while not self._stopped.is_set():
            with lock_connection.cursor() as cursor:
                if try_session_lock(cursor, InstallationLock.BEAT):
                    return True
            self._stopped.wait(POLL_SECONDS)
        return False

    def _watch(
        self, lock_connection: Any, service: Service, stopped_ticking: threading.Event
    ) -> None:
        while not stopped_ticking.wait(WATCH_SECONDS):
            try:
                with lock_connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
            except psycopg2.Error as error:
                log.warning("beat_lock_lost", error=" ".join(str(error).split()))
                service.stop()
                return
