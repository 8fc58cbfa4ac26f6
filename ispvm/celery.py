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
def begin_counting(**_: object) -> None:
    """Numbers of a former run go, before anything of this one is counted."""
    from apps.core.metrics.folder import begin_folder, folder_of_group

    if folder := folder_of_group():
        begin_folder(folder)


@setup_logging.connect
def keep_log_lines(**_: object) -> None:
    """Django's settings say how lines look; being connected keeps Celery from adding its own."""


@worker_init.connect
def refuse_to_run(**_: object) -> None:
    """An exit, because a signal's other exceptions are only logged and the worker would go on."""
    from apps.core.preload import load_before_threads
    from ispvm.refusal import refuse_to_run as refuse

    refuse()
    load_before_threads()


@worker_ready.connect
def announce_worker(sender: Any = None, **_: object) -> None:
    """The parent speaks for its children, which were forked with what it has.

    Children that hang are ended by the time limit of their task; threads, which no limit ends, by the watchdog.
    """
    from apps.core import liveness
    from apps.events.processes import announce

    liveness.watch()
    announce(str(sender.hostname).partition("@")[0] if sender else "worker")
