from uuid import UUID

from celery import shared_task

from apps.core import clock
from apps.events import due
from apps.events.dispatch import dispatch_tenant
from apps.events.queues import Queue


@shared_task(name="events.run_due", queue=Queue.UPKEEP)
def run_due() -> None:
    due.run_due(at=clock.now())


@shared_task(name="events.dispatch", queue=Queue.INCIDENTS)
def dispatch(*, tenant_id: str, ref: str = "") -> None:
    dispatch_tenant(UUID(tenant_id))
