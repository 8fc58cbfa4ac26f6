import random
from uuid import UUID

from celery import shared_task

from apps.delivery.services.delivering import deliver_due
from apps.delivery.services.scheduling import DELIVER
from apps.events.queues import Queue


@shared_task(name=DELIVER, queue=Queue.DELIVER)
def deliver(*, tenant_id: str, ref: str) -> None:
    deliver_due(
        tenant_id=UUID(tenant_id),
        destination_id=UUID(ref),
        rng=random.Random(),  # noqa: S311  (spreads retries; nothing secret)
    )
