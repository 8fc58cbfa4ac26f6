from uuid import UUID

from celery import shared_task

from apps.core import clock
from apps.events.queues import Queue
from apps.mail.sending import send_message
from apps.mail.services import SEND


@shared_task(name=SEND, queue=Queue.DELIVER)
def send(*, tenant_id: str, ref: str) -> None:
    send_message(UUID(ref), at=clock.now())
