"""Queueing mail: a row in the caller's transaction, a wake-up for a worker after its commit."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils.translation import get_language

from apps.events import due, jobs
from apps.mail.models import Message

SEND = "mail.send"
#: The due table names a tenant on every row; a message of no tenant stands under this one.
NO_TENANT = UUID(int=0)
KEEP = timedelta(days=30)


def is_mail_configured() -> bool:
    """Whether this installation can send mail at all."""
    return bool(settings.ISPVM_MAIL_CONFIGURED)


def queue_mail(
    *,
    kind: str,
    at: datetime,
    tenant_id: UUID | None = None,
    ref: UUID | None = None,
    address: str = "",
) -> Message:
    """Promise one message, in the language of the request. Nothing is sent when the transaction rolls back."""
    message = Message.objects.create(
        kind=kind,
        tenant_id=tenant_id,
        ref=ref,
        address=address,
        language=(get_language() or settings.LANGUAGE_CODE)[:10],
        created_at=at,
        next_attempt_at=at,
    )
    wake_up(message, at=at)
    return message


def wake_up(message: Message, *, at: datetime) -> None:
    """Have a worker send it: at once, and again by the due table if that worker is lost."""
    where = {"tenant_id": message.tenant_id or NO_TENANT, "ref": str(message.pk)}
    due.schedule(SEND, at=at, **where)  # type: ignore[arg-type]  # a literal of just these
    jobs.enqueue(SEND, tenant_id=str(where["tenant_id"]), ref=str(message.pk))
