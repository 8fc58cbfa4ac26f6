"""Messages to send. A global table: a password reset belongs to no tenant."""

import uuid

from django.db import models
from django.db.models import Q

from apps.mail.choices import MailState


class Message(models.Model):
    """One message to one recipient, sent at least once. It stores no text and no secret: the worker composes them from
    the row that ``ref`` identifies when it sends the message."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=40)
    # The tenant of ``ref``; null for messages without a tenant.
    tenant_id = models.UUIDField(null=True)
    ref = models.UUIDField(null=True)
    # Set only if no row has the recipient's address; cleared when the message is finished.
    address = models.CharField(max_length=254, blank=True, default="")
    language = models.CharField(max_length=10)
    state = models.CharField(max_length=10, choices=MailState.choices, default=MailState.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField()
    # Until then the message is claimed by a worker.
    lease_until = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    # "recipient_refused 550": never the server's own text, which may contain personal data.
    error = models.CharField(max_length=60, blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=MailState.values), name="mail_message_state_ck"
            ),
        ]
        indexes = [
            models.Index(
                fields=["done_at"], condition=Q(done_at__isnull=False), name="mail_message_done_idx"
            )
        ]
