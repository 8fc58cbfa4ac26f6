"""Log context of tasks: job id, task name, tenant, and the id of the request that sent the task."""

from collections.abc import Mapping
from typing import Any

import structlog
from celery import signals

#: The message header with the id of the request that sent the task.
HEADER = "ispvm_request_id"


def connect() -> None:
    """Connect the signal handlers. Idempotent."""
    signals.before_task_publish.connect(_add_request_id)
    signals.task_prerun.connect(_bind)
    signals.task_postrun.connect(_unbind)


def _add_request_id(headers: dict[str, Any] | None = None, **_: Any) -> None:
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if headers is not None and request_id:
        headers[HEADER] = request_id


def _bind(task_id: str, task: Any, kwargs: Mapping[str, Any] | None = None, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(job_id=task_id, task=task.name)
    if tenant_id := (kwargs or {}).get("tenant_id"):
        structlog.contextvars.bind_contextvars(tenant_id=str(tenant_id))
    request_id = getattr(task.request, HEADER, None) or (task.request.headers or {}).get(HEADER)
    if request_id:
        structlog.contextvars.bind_contextvars(request_id=str(request_id)[:64])


def _unbind(**_: Any) -> None:
    structlog.contextvars.clear_contextvars()
