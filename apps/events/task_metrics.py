"""Metrics of Celery tasks: duration and final state; the worker's metrics listener."""

import threading
import time
from typing import Any

from celery import signals
from django.conf import settings
from prometheus_client import Counter, Histogram

from apps.core import liveness
from apps.core.metrics import serve_metrics

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

TASK_SECONDS = Histogram(
    "ispvm_task_seconds", "Run time of tasks.", ["task", "state"], buckets=BUCKETS
)
TASK_SENDS_FAILED = Counter(
    "ispvm_wake_ups_lost",
    "Tasks that could not be sent to the broker; the due table sends them again.",
    ["task"],
)

#: By task id and thread: the broker may redeliver a task while another thread of this process still runs it.
_started: dict[tuple[str, int], float] = {}
_work: dict[tuple[str, int], int] = {}


def connect() -> None:
    """Connect the signal handlers. Idempotent."""
    signals.task_prerun.connect(_begin)
    signals.task_postrun.connect(_end)
    signals.worker_ready.connect(_listen)


def _begin(task_id: str, task: Any = None, **_: Any) -> None:
    key = (task_id, threading.get_ident())
    _started[key] = time.monotonic()
    _work[key] = liveness.process.start(str(getattr(task, "name", "task")))


def _end(task_id: str, task: Any, state: str | None = None, **_: Any) -> None:
    key = (task_id, threading.get_ident())
    liveness.process.finish(_work.pop(key, 0))
    started = _started.pop(key, None)
    if started is not None:
        TASK_SECONDS.labels(task.name, (state or "unknown").lower()).observe(
            time.monotonic() - started
        )


def _listen(**_: Any) -> None:
    serve_metrics(settings.ISPVM_METRICS_LISTEN, settings.ISPVM_METRICS_ALLOW)
