"""A WSGI application and a Celery application that hang on request; the watchdog's time limits are shorter here."""

import os
import threading
from pathlib import Path
from typing import Any

from celery import Celery, signals

from apps.core import liveness
from apps.core.watched_wsgi import WatchedApplication

liveness.HUNG_AFTER_SECONDS = 1.0
liveness.GRACE_SECONDS = 1.0
FOR_EVER = threading.Event()


def respond(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/hang":
        FOR_EVER.wait()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


application = WatchedApplication(respond)


def post_worker_init(_worker: Any) -> None:
    """gunicorn's, with this module as its configuration."""
    liveness.watch()


app = Celery("hanging", broker=os.environ.get("HANGING_BROKER"))
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_default_queue="hanging",
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": 2,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
)


@app.task(name="hanging.hang_once")
def hang_once(folder: str) -> None:
    """Hangs where nobody has been before, so that the second attempt goes through."""
    first = Path(folder) / "first"
    if not first.exists():
        first.write_text(str(os.getpid()))
        FOR_EVER.wait()
    (Path(folder) / "second").write_text(str(os.getpid()))


@signals.worker_ready.connect
def _count(**_: Any) -> None:

    from apps.events import task_metrics

    signals.task_prerun.connect(task_metrics._begin)
    signals.task_postrun.connect(task_metrics._end)
    liveness.watch()
