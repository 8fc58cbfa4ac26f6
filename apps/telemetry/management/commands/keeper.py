"""The keeper: partitions and retention. The only process with the owner's database URL; it serves nothing but
metrics."""

import contextlib
import signal
import threading
import time
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, OperationalError, connections
from prometheus_client import Counter, Gauge

from apps.accounts.setup import grant_operator_when_completed
from apps.core import clock, liveness
from apps.core.metrics import serve_metrics
from apps.events import retention
from apps.events.installation import record_restore
from apps.events.processes import start_process_heartbeat
from apps.telemetry import partitions
from apps.tenancy.locks import InstallationLock, release_session_lock, try_session_lock
from apps.tenancy.models import Tenant
from apps.tenancy.startup_checks import run_startup_checks, wait_for_startup_checks

log = structlog.get_logger(__name__)

DONE_AT = Gauge("ispvm_keeper_done_timestamp_seconds", "When this keeper last finished a round.")
PARTITIONS = Counter("ispvm_keeper_partitions", "Partitions created and dropped.", ["action"])
DELETED = Counter("ispvm_keeper_rows_deleted", "Rows past their retention, deleted.", ["table"])
BLOCKED = Gauge(
    "ispvm_keeper_partitions_blocked", "Partitions that a lock keeps from being created or dropped."
)
ROUND_INTERVAL_SECONDS = 3600
RETRY_SECONDS = 5
#: Maximum time of deletion in one round, so that partitions are not delayed; the next round then follows at once.
PRUNE_SECONDS = 60
#: A round that takes longer counts as hanging: each of its parts has a limit.
ROUND_SECONDS = 900
#: Statement timeout of the keeper; deletion runs in batches that take milliseconds.
STATEMENT_SECONDS = 120


class Command(BaseCommand):
    help = "Hourly: create future partitions, drop and delete expired data. One keeper is active, others stand by."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="run one round and exit")

    def handle(self, *args: Any, **options: Any) -> None:
        if "owner" not in connections:
            raise CommandError("The keeper needs DATABASE_OWNER_URL.")
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        if options["once"]:
            run_startup_checks()
            self._run_round(stopped)
            return
        serve_metrics(settings.ISPVM_METRICS_LISTEN, settings.ISPVM_METRICS_ALLOW)
        wait_for_startup_checks(stopped)
        start_process_heartbeat("keeper")
        liveness.watch()
        threading.Thread(target=grant_operator_when_completed, args=(stopped,), daemon=True).start()
        while not stopped.is_set():
            with liveness.process.working("round", within=ROUND_SECONDS):
                wait = self._run_round(stopped)
            stopped.wait(wait)

    def _run_round(self, stopped: threading.Event) -> float:
        """Run one round if no other keeper is active; returns the seconds until the next one."""
        owner = connections["owner"]
        try:
            with owner.cursor() as cursor:
                partitions.limit_waiting(cursor)
                cursor.execute(
                    "SELECT set_config('statement_timeout', %s, false)", [f"{STATEMENT_SECONDS}s"]
                )
                if not try_session_lock(cursor, InstallationLock.KEEPER):
                    return RETRY_SECONDS
                try:
                    return self._maintain(cursor, stopped)
                finally:
                    # A closed session has released its lock already.
                    with contextlib.suppress(DatabaseError, InterfaceError):
                        release_session_lock(cursor, InstallationLock.KEEPER)
        except (OperationalError, InterfaceError) as error:
            log.warning(
                "keeper_database_unavailable", error=type(error.__cause__ or error).__name__
            )
            owner.close()
            return RETRY_SECONDS

    def _maintain(self, cursor: Any, stopped: threading.Event) -> float:
        at = clock.now()
        if (epoch := record_restore(using="owner")) is not None:
            log.warning("database_restore_recorded", epoch=epoch)
        created, blocked_creations = partitions.ensure(cursor, at.date())
        dropped, blocked_drops = partitions.drop_expired(cursor, at.date())
        PARTITIONS.labels("created").inc(len(created))
        PARTITIONS.labels("dropped").inc(len(dropped))
        BLOCKED.set(len(blocked_creations) + len(blocked_drops))
        if blocked_creations or blocked_drops:
            log.warning("keeper_lock_unavailable", partitions=[*blocked_creations, *blocked_drops])
        until = time.monotonic() + PRUNE_SECONDS
        pruned = retention.prune(
            using="owner",
            tenant_ids=Tenant.objects.using("owner").values_list("id", flat=True),
            at=at,
            may_continue=lambda: not stopped.is_set() and time.monotonic() < until,
        )
        for table, number in pruned.rows.items():
            DELETED.labels(table).inc(number)
        self.stdout.write(
            f"keeper: {len(created)} partitions created, {len(dropped)} dropped,"
            f" {sum(pruned.rows.values())} rows deleted"
        )
        if not blocked_creations:
            DONE_AT.set_to_current_time()
        if pruned.is_out_of_time:
            return 0
        if blocked_creations or blocked_drops or pruned.is_blocked:
            return RETRY_SECONDS
        return ROUND_INTERVAL_SECONDS
