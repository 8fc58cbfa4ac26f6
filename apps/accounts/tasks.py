from uuid import UUID

from celery import shared_task

from apps.accounts.access_sessions import end_expired_access_session
from apps.accounts.platform import END_ACCESS_SESSION
from apps.core import clock
from apps.events import due
from apps.events.queues import Queue
from apps.tenancy import acting_in


@shared_task(name=END_ACCESS_SESSION, queue=Queue.UPKEEP)
def end_access_session(*, tenant_id: str, ref: str) -> None:
    """Close an access session that has expired."""
    with acting_in(tenant_id):
        if end_expired_access_session(session_id=ref, at=clock.now()):
            due.finish(END_ACCESS_SESSION, tenant_id=UUID(tenant_id), ref=ref)
