"""Enumerations of mail."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class MailState(models.TextChoices):
    """The state of a message."""

    QUEUED = "queued", _("Queued")
    SENT = "sent", _("Sent")
    #: No longer needed: the invitation was revoked, or no account has the address.
    DROPPED = "dropped", _("No longer needed")
    FAILED = "failed", _("Failed")
