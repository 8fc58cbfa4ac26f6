import signal
import threading
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management.base import BaseCommand

from apps.core import liveness
from apps.core.metrics import exposition, serve_metrics
from apps.events.beat import LockedBeat
from apps.events.gauges import GaugeCollector
from apps.events.processes import publish_fact, start_process_heartbeat
from apps.events.volumes import FACT, Volumes
from apps.tenancy.startup_checks import wait_for_startup_checks


class Command(BaseCommand):
    help = "Wake workers for due work once a second. One beat is active, others stand by."

    def handle(self, *args: Any, **options: Any) -> None:
        beat = LockedBeat(current_app)
        stopped = threading.Event()

        def stop(*_: Any) -> None:
            stopped.set()
            beat.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        state = GaugeCollector()
        volumes = Volumes(settings.ISPVM_WATCHED_VOLUMES)
        publish_fact(FACT, volumes.fact)
        serve_metrics(
            settings.ISPVM_METRICS_LISTEN,
            settings.ISPVM_METRICS_ALLOW,
            lambda: exposition([state, volumes]),
        )
        wait_for_startup_checks(stopped)
        start_process_heartbeat("beat")
        liveness.watch()
        beat.run(lambda: self.stdout.write("beat: ticking"))
