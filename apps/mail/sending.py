"""Sending one message: claimed under a lease, composed, sent by SMTP, finished.

Delivery is at least once: a worker that is killed between the server's "250" and the commit sends the message again,
with the same Message-ID.
"""

from datetime import datetime, timedelta
from email.utils import formataddr, parseaddr
from smtplib import (
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import F, Q
from django.utils import translation

from apps.core import clock
from apps.events import due
from apps.mail.choices import MailState
from apps.mail.kinds import MailContent, kind_of
from apps.mail.models import Message
from apps.mail.services import NO_TENANT, SEND

log = structlog.get_logger(__name__)

#: Longer than CELERY_TASK_TIME_LIMIT: after that the worker that claimed the message is dead.
LEASE = timedelta(minutes=2)
FIRST_BACKOFF = timedelta(seconds=30)
MAX_BACKOFF = timedelta(hours=1)
MAX_ATTEMPTS = 24
#: SMTP reply codes from here on are permanent failures (RFC 5321, 4.2.1).
PERMANENT_FROM = 500


def send_message(message_id: UUID, *, at: datetime) -> None:
    """Send one message if it is due. Idempotent: a finished or claimed message is skipped."""
    message = _claim(message_id, at)
    if message is None:
        return
    kind = kind_of(message.kind)
    with translation.override(message.language):
        content = kind.compose(message, at) if kind else None
    if content is None:
        _finish(message, MailState.DROPPED, "")
        return
    try:
        _send_smtp(message, content)
    except (SMTPException, OSError) as error:
        _handle_failure(message, error)
    else:
        _finish(message, MailState.SENT, "")


def _claim(message_id: UUID, at: datetime) -> Message | None:
    unclaimed = Q(lease_until=None) | Q(lease_until__lte=at)
    rows = Message.objects.filter(pk=message_id)
    was_claimed = rows.filter(unclaimed, state=MailState.QUEUED, next_attempt_at__lte=at).update(
        lease_until=at + LEASE, attempts=F("attempts") + 1
    )
    message = rows.first()
    if was_claimed and message:
        _reschedule(message, at + LEASE)
        return message
    if message is None or message.state != MailState.QUEUED:
        tenant_id = (message.tenant_id if message else None) or NO_TENANT
        due.finish(SEND, tenant_id=tenant_id, ref=str(message_id))
    else:
        _reschedule(message, max(message.next_attempt_at, message.lease_until or at))
    return None


def _send_smtp(message: Message, content: MailContent) -> None:
    host = urlsplit(settings.ISPVM_PUBLIC_URL).hostname or "localhost"
    mail = EmailMultiAlternatives(
        subject=one_line(content.subject),
        body=content.text,
        from_email=formataddr(parseaddr(settings.ISPVM_MAIL_FROM)),
        to=[content.to],
        headers={"Message-ID": f"<{message.pk}@{host}>", "Auto-Submitted": "auto-generated"},
    )
    mail.attach_alternative(content.html, "text/html")
    mail.send()


def one_line(text: str) -> str:
    """Without line breaks, which would inject headers."""
    return " ".join(text.split())[:200]


def _handle_failure(message: Message, error: SMTPException | OSError) -> None:
    code, is_permanent = _classify(error)
    if is_permanent or message.attempts >= MAX_ATTEMPTS:
        _finish(message, MailState.FAILED, code)
        return
    wait = min(FIRST_BACKOFF * 2 ** (message.attempts - 1), MAX_BACKOFF)
    at = clock.now() + wait
    Message.objects.filter(pk=message.pk).update(next_attempt_at=at, lease_until=None, error=code)
    _reschedule(message, at)
    log.warning("mail_postponed", message=str(message.pk), error=code, attempts=message.attempts)


def _classify(error: SMTPException | OSError) -> tuple[str, bool]:
    """A short code, and whether the failure is permanent.

    Only replies about this recipient or this message are permanent. A refused login or sender is a configuration
    error: the message is retried until the operator corrects it.
    """
    if isinstance(error, SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        return f"recipient_refused {max(codes)}", min(codes) >= PERMANENT_FROM
    if isinstance(error, SMTPAuthenticationError):
        return f"login_refused {error.smtp_code}", False
    if isinstance(error, SMTPSenderRefused):
        return f"sender_refused {error.smtp_code}", False
    if isinstance(error, SMTPDataError):
        return f"message_refused {error.smtp_code}", error.smtp_code >= PERMANENT_FROM
    if isinstance(error, SMTPResponseException):
        return f"server_refused {error.smtp_code}", False
    return f"no_connection {type(error).__name__}"[:60], False


def _finish(message: Message, state: MailState, error: str) -> None:
    message.state, message.error = state, error
    Message.objects.filter(pk=message.pk).update(
        state=state, error=error, done_at=clock.now(), lease_until=None, address=""
    )
    due.finish(SEND, tenant_id=message.tenant_id or NO_TENANT, ref=str(message.pk))
    log.info("mail_finished", message=str(message.pk), kind=message.kind, state=str(state))
    kind = kind_of(message.kind)
    if kind and kind.on_finished:
        kind.on_finished(message)


def _reschedule(message: Message, at: datetime) -> None:
    due.postpone(SEND, at=at, tenant_id=message.tenant_id or NO_TENANT, ref=str(message.pk))
