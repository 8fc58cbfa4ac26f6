import random
from uuid import UUID

from celery import shared_task

from apps.core.http import EgressClient, policy_of_installation
from apps.events.queues import Queue
from apps.webhooks.services.delivering import deliver_due
from apps.webhooks.services.scheduling import DELIVER


@shared_task(name=DELIVER, queue=Queue.DELIVER)
def deliver(*, tenant_id: str, ref: str) -> None:
    deliver_due(
        tenant_id=UUID(tenant_id),
        endpoint_id=UUID(ref),
        client=EgressClient(policy_of_installation()),
        rng=random.Random(),  # noqa: S311  (spreads retries; nothing secret)
    )
