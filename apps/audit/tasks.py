import time
from uuid import UUID

from celery import shared_task

from apps.audit.background import BUDGET_SECONDS, continue_verification
from apps.audit.services import VERIFY
from apps.core import clock
from apps.events.queues import Queue


@shared_task(name=VERIFY, queue=Queue.UPKEEP)
def verify(*, tenant_id: str, ref: str = "") -> None:
    """Verify a tenant's audit chain within the time budget."""
    stop_at = time.monotonic() + BUDGET_SECONDS
    continue_verification(
        tenant_id=UUID(tenant_id),
        at=clock.now(),
        may_continue=lambda: time.monotonic() < stop_at,
    )
