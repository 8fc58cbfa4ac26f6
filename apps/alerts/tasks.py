from uuid import UUID

from celery import shared_task

from apps.alerts.services import EVALUATE, evaluate_tenant
from apps.core import clock
from apps.events.queues import Queue


@shared_task(name=EVALUATE, queue=Queue.EVALUATE)
def evaluate(*, tenant_id: str, ref: str = "") -> None:
    evaluate_tenant(tenant_id=UUID(tenant_id), at=clock.now())
