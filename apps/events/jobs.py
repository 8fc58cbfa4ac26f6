"""Ringing a worker after commit. A lost bell is rung again by the due table."""

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from apps.events.counting import BELLS_LOST
from apps.events.queues import Queue

log = structlog.get_logger(__name__)

Scalar = str | int | float | bool | None


def enqueue(name: str, *, queue: Queue | None = None, **arguments: Scalar) -> None:
    """Send the named task with these ids once the current transaction has committed."""
    transaction.on_commit(lambda: send(name, queue=queue, **arguments))


def send(name: str, *, queue: Queue | None = None, **arguments: Scalar) -> bool:
    """Send now; False when the broker is away, which costs time and never work."""
    target = queue or _queue_of(name)
    try:
        current_app.send_task(name, kwargs=arguments, queue=str(target), expires=60)
    except (OperationalError, ConnectionError, TimeoutError):
        BELLS_LOST.labels(name).inc()
        log.warning("bell_lost", task=name)
        return False
    return True


def _queue_of(name: str) -> str:
    task = current_app.tasks.get(name)
    return str(getattr(task, "queue", None) or Queue.UPKEEP)
