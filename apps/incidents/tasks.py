from uuid import UUID

from celery import shared_task

from apps.core import clock
from apps.events.queues import Queue
from apps.incidents.services.correlate import CORRELATE, correlate_tenant


@shared_task(name=CORRELATE, queue=Queue.INCIDENTS)
def correlate(*, tenant_id: str, ref: str = "") -> None:
    correlate_tenant(tenant_id=UUID(tenant_id), at=clock.now())
