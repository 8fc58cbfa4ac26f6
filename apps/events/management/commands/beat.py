import signal
from typing import Any

from celery import current_app
from django.core.management.base import BaseCommand

from apps.events.beat import LockedBeat
from apps.tenancy.guard import refuse_bypassing_role


class Command(BaseCommand):
    help = "Tick once a second while holding the advisory lock; run as many as you like."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        refuse_bypassing_role()
        beat = LockedBeat(current_app)
        signal.signal(signal.SIGTERM, lambda *_: beat.stop())
        signal.signal(signal.SIGINT, lambda *_: beat.stop())
        beat.run(lambda: self.stdout.write("beat: ticking"))
