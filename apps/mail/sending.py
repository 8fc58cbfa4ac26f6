"""Sending one message: taken under a lease, written, handed to the SMTP server, settled.

A worker that is killed between the server's "250" and our commit sends it again, with the same Message-ID: at least
once, never zero times.
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
from apps.mail.kinds import Letter, kind_of
from apps.mail.models import Message
from apps.mail.services import NO_TENANT, SEND

log = structlog.get_logger(__name__)

#: Longer than a task may live (CELERY_TASK_TIME_LIMIT): who still holds it then is dead.
LEASE = timedelta(minutes=2)
FIRST_BACKOFF = timedelta(seconds=30)
LONGEST_BACKOFF = timedelta(hours=1)
MAX_ATTEMPTS = 24
#: SMTP replies from here on are final (RFC 5321, 4.2.1).
PERMANENT = 500


def send_message(message_id: UUID, *, at: datetime) -> None:
    """Send one message if it is due. Idempotent: what is done, or in another worker's hands, is left alone."""
    message = _take(message_id, at)
    if message is None:
        return
    kind = kind_of(message.kind)
    with translation.override(message.language):
        letter = kind.compose(message, at) if kind else None
    if letter is None:
        _settle(message, MailState.DROPPED, "")
        return
    try:
        _hand_over(message, letter)
    except (SMTPException, OSError) as error:
        _refused(message, error)
    else:
        _settle(message, MailState.SENT, "")


def _take(message_id: UUID, at: datetime) -> Message | None:
    free = Q(lease_until=None) | Q(lease_until__lte=at)
    rows = Message.objects.filter(pk=message_id)
    taken = rows.filter(free, state=MailState.QUEUED, next_attempt_at__lte=at).update(
        lease_until=at + LEASE, attempts=F("attempts") + 1
    )
    message = rows.first()
    if taken and message:
        _look_again(message, at + LEASE)
        return message
    if message is None or message.state != MailState.QUEUED:
        tenant_id = (message.tenant_id if message else None) or NO_TENANT
        due.finish(SEND, tenant_id=tenant_id, ref=str(message_id))
    else:
        _look_again(message, max(message.next_attempt_at, message.lease_until or at))
    return None


def _hand_over(message: Message, letter: Letter) -> None:
    host = urlsplit(settings.ISPVM_PUBLIC_URL).hostname or "localhost"
    mail = EmailMultiAlternatives(
        subject=one_line(letter.subject),
        body=letter.text,
        from_email=formataddr(parseaddr(settings.ISPVM_MAIL_FROM)),
        to=[letter.to],
        headers={"Message-ID": f"<{message.pk}@{host}>", "Auto-Submitted": "auto-generated"},
    )
    mail.attach_alternative(letter.html, "text/html")
    mail.send()


def one_line(text: str) -> str:
    """Without line ends, which would begin another header."""
    return " ".join(text.split())[:200]


def _refused(message: Message, error: SMTPException | OSError) -> None:
    code, is_permanent = _verdict(error)
    if is_permanent or message.attempts >= MAX_ATTEMPTS:
        _settle(message, MailState.FAILED, code)
        return
    wait = min(FIRST_BACKOFF * 2 ** (message.attempts - 1), LONGEST_BACKOFF)
    at = clock.now() + wait
    Message.objects.filter(pk=message.pk).update(next_attempt_at=at, lease_until=None, error=code)
    _look_again(message, at)
    log.warning("mail_postponed", message=str(message.pk), error=code, attempts=message.attempts)


def _verdict(error: SMTPException | OSError) -> tuple[str, bool]:
    """A short code, and whether another attempt is of no use.

    Only what the server says of this recipient or this text is final. A refused login or sender is the operator's
    to mend, and the message waits for that.
    """
    if isinstance(error, SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        return f"recipient_refused {max(codes)}", min(codes) >= PERMANENT
    if isinstance(error, SMTPAuthenticationError):
        return f"login_refused {error.smtp_code}", False
    if isinstance(error, SMTPSenderRefused):
        return f"sender_refused {error.smtp_code}", False
    if isinstance(error, SMTPDataError):
        return f"message_refused {error.smtp_code}", error.smtp_code >= PERMANENT
    if isinstance(error, SMTPResponseException):
        return f"server_refused {error.smtp_code}", False
    return f"no_connection {type(error).__name__}"[:60], False


def _settle(message: Message, state: MailState, error: str) -> None:
    message.state, message.error = state, error
    Message.objects.filter(pk=message.pk).update(
        state=state, error=error, done_at=clock.now(), lease_until=None, address=""
    )
    due.finish(SEND, tenant_id=message.tenant_id or NO_TENANT, ref=str(message.pk))
    log.info("mail_settled", message=str(message.pk), kind=message.kind, state=str(state))
    kind = kind_of(message.kind)
    if kind and kind.settled:
        kind.settled(message)


def _look_again(message: Message, at: datetime) -> None:
    due.postpone(SEND, at=at, tenant_id=message.tenant_id or NO_TENANT, ref=str(message.pk))
