from celery import shared_task

from apps.accounts.idempotency import PRUNE, prune_answers
from apps.core import clock
from apps.events.queues import Queue
from apps.tenancy import acting_in


@shared_task(name=PRUNE, queue=Queue.UPKEEP)
def prune(*, tenant_id: str, ref: str = "") -> None:  # noqa: ARG001  (ref: the due table's shape)
    with acting_in(tenant_id):
        prune_answers(at=clock.now())
