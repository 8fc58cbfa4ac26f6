import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.agents import keys
from apps.agents.services import check_signer, run_signer
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.metrics import serve_metrics
from apps.events.processes import start_process_heartbeat
from apps.tenancy.schema_version import check_database_version
from apps.tenancy.startup_checks import check_database_role
from apps.vault.errors import MasterKeyInvalid

INTERVAL_SECONDS = 0.1


class Command(BaseCommand):
    """The only process that can sign certificates. Opens no port except for metrics. Several may run."""

    help = "Sign the requests of the ingest processes; needs ISPVM_CA_KEY_FILE."

    def handle(self, *args: Any, **options: Any) -> None:
        check_database_role()
        check_database_version()
        if not keys.may_sign():
            raise CommandError("The signer needs ISPVM_CA_KEY_FILE.")
        try:
            fingerprint = check_signer(at=clock.now())
        except (MasterKeyInvalid, DomainError) as error:
            raise CommandError(
                f"{settings.ISPVM_CA_KEY_FILE} does not open the certificate authority's key; "
                f"restore the right file from your backup. ({error})"
            ) from error
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        serve_metrics(settings.ISPVM_METRICS_LISTEN, settings.ISPVM_METRICS_ALLOW)
        start_process_heartbeat("signer")
        self.stdout.write(f"signer: active authority {fingerprint[:16]}")
        run_signer(stop, every_seconds=INTERVAL_SECONDS)
