from uuid import UUID

from celery import shared_task

from apps.accounts.platform import END_VISIT
from apps.accounts.visits import end_expired_visit
from apps.core import clock
from apps.events import due
from apps.events.queues import Queue
from apps.tenancy import acting_in


@shared_task(name=END_VISIT, queue=Queue.UPKEEP)
def end_visit(*, tenant_id: str, ref: str) -> None:
    """Close a visit whose time is over."""
    with acting_in(tenant_id):
        if end_expired_visit(visit_id=ref, at=clock.now()):
            due.finish(END_VISIT, tenant_id=UUID(tenant_id), ref=ref)
