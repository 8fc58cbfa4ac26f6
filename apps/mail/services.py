"""Queueing mail: a row in the caller's transaction, and a task for a worker after its commit."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils.translation import get_language

from apps.events import due, jobs
from apps.mail.models import Message

SEND = "mail.send"
#: Tenant id in the due table for messages without a tenant.
NO_TENANT = UUID(int=0)
RETENTION = timedelta(days=30)


def is_mail_configured() -> bool:
    """Whether this installation can send mail."""
    return bool(settings.ISPVM_MAIL_CONFIGURED)


def queue_mail(
    *,
    kind: str,
    at: datetime,
    tenant_id: UUID | None = None,
    ref: UUID | None = None,
    address: str = "",
) -> Message:
    """Queue one message, in the language of the request. Nothing is sent if the transaction rolls back."""
    message = Message.objects.create(
        kind=kind,
        tenant_id=tenant_id,
        ref=ref,
        address=address,
        language=(get_language() or settings.LANGUAGE_CODE)[:10],
        created_at=at,
        next_attempt_at=at,
    )
    schedule_send(message, at=at)
    return message


def schedule_send(message: Message, *, at: datetime) -> None:
    """Have a worker send it now; the due table repeats it if that worker is lost."""
    tenant_id, ref = message.tenant_id or NO_TENANT, str(message.pk)
    due.schedule(SEND, at=at, tenant_id=tenant_id, ref=ref)
    jobs.enqueue(SEND, tenant_id=str(tenant_id), ref=ref)
