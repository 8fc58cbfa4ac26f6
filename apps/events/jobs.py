"""Sending tasks after commit. The due table sends a lost task again."""

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from apps.events.queues import Queue
from apps.events.task_metrics import TASK_SENDS_FAILED

log = structlog.get_logger(__name__)

Scalar = str | int | float | bool | None


def enqueue(name: str, *, queue: Queue | None = None, **arguments: Scalar) -> None:
    """Send the named task with these ids once the current transaction has committed."""
    transaction.on_commit(lambda: send(name, queue=queue, **arguments))


def send(name: str, *, queue: Queue | None = None, **arguments: Scalar) -> bool:
    """Send now; False if the broker is unavailable: the due table sends the task later."""
    target = queue or _queue_of(name)
    try:
        current_app.send_task(name, kwargs=arguments, queue=str(target), expires=60)
    except (OperationalError, ConnectionError, TimeoutError):
        TASK_SENDS_FAILED.labels(name).inc()
        log.warning("task_send_failed", task=name)
        return False
    return True


def _queue_of(name: str) -> str:
    task = current_app.tasks.get(name)
    return str(getattr(task, "queue", None) or Queue.UPKEEP)
