import signal
import threading
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management.base import BaseCommand

from apps.core import liveness
from apps.core.metrics import exposition, serve_metrics
from apps.events.beat import LockedBeat
from apps.events.processes import announce, publish
from apps.events.state import StateCollector
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
        state = StateCollector()
        volumes = Volumes(settings.ISPVM_WATCHED_VOLUMES)
        publish(FACT, volumes.fact)
        serve_metrics(
            settings.ISPVM_METRICS_LISTEN,
            settings.ISPVM_METRICS_ALLOW,
            lambda: exposition([state, volumes]),
        )
        wait_for_startup_checks(stopped)
        announce("beat")
        liveness.watch()
        beat.run(lambda: self.stdout.write("beat: ticking"))
