"""The only process with the owner's database address: partitions and retention. It listens for scrapes at most."""

import signal
import threading
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connections, transaction
from prometheus_client import Counter, Gauge

from apps.accounts.setup import grant_operator_when_completed
from apps.core import clock
from apps.core.metrics import serve_metrics
from apps.telemetry import partitions
from apps.tenancy.guard import refuse_to_serve

log = structlog.get_logger(__name__)

LOCK = 0x15B_CEE9
DONE_AT = Gauge("ispvm_keeper_done_timestamp_seconds", "When this keeper last finished a round.")
PARTITIONS = Counter("ispvm_keeper_partitions", "Partitions made and dropped.", ["what"])
EVERY_SECONDS = 3600
RETRY_SECONDS = 5


class Command(BaseCommand):
    help = "Create coming partitions and drop expired ones, hourly; one keeper works, others wait."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="do it once and leave")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        if "owner" not in connections:
            raise CommandError("The keeper needs DATABASE_OWNER_URL.")
        try:
            refuse_to_serve()
        except OperationalError:  # it waits for the database below, and opens no secret
            log.warning("keeper_database_away")
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        if not options["once"]:
            serve_metrics(settings.ISPVM_METRICS_LISTEN, settings.ISPVM_METRICS_ALLOW)
            threading.Thread(
                target=grant_operator_when_completed, args=(stopped,), daemon=True
            ).start()
        while not stopped.is_set():
            done = self._keep()
            if options["once"]:
                return
            stopped.wait(EVERY_SECONDS if done else RETRY_SECONDS)

    def _keep(self) -> bool:
        """One round; False when the database is away or another keeper is at it."""
        try:
            with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
                if not cursor.fetchone()[0]:
                    return False
                today = clock.now().date()
                made = partitions.ensure(cursor, today)
                dropped = partitions.drop_expired(cursor, today)
        except OperationalError:
            log.warning("keeper_database_away")
            connections["owner"].close()
            return False
        DONE_AT.set_to_current_time()
        PARTITIONS.labels("made").inc(len(made))
        PARTITIONS.labels("dropped").inc(len(dropped))
        self.stdout.write(f"keeper: {len(made)} partitions made, {len(dropped)} dropped")
        return True
