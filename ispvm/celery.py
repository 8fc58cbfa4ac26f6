"""The Celery application: workers of every queue and the beat."""

import os
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, setup_logging, worker_init, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ispvm.settings.server")

app = Celery("ispvm")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_init.connect
def clear_metric_files(**_: object) -> None:
    """Delete metric files of an earlier run before any metric is created."""
    from apps.core.metrics.folder import clear_folder, group_folder

    if folder := group_folder():
        clear_folder(folder)


@setup_logging.connect
def keep_django_logging(**_: object) -> None:
    """Being connected prevents Celery from replacing Django's logging configuration."""


@worker_init.connect
def refuse_to_run(**_: object) -> None:
    """Exits, because Celery only logs other exceptions of a signal handler and goes on."""
    from apps.core.preload import load_before_threads
    from ispvm.refusal import refuse_to_run as refuse

    refuse()
    load_before_threads()


@worker_ready.connect
def announce_worker(sender: Any = None, **_: object) -> None:
    """Write heartbeats of the parent process, which has loaded the same keys as its forked children.

    Hung children are ended by the time limit of their task; hung threads, which have no limit, by the watchdog.
    """
    from apps.core import liveness
    from apps.events.processes import start_process_heartbeat

    liveness.watch()
    start_process_heartbeat(str(sender.hostname).partition("@")[0] if sender else "worker")
