"""Closed lists of mail."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class MailState(models.TextChoices):
    """What has become of a message."""

    QUEUED = "queued", _("Queued")
    SENT = "sent", _("Sent")
    #: Nothing was left to say: the invitation was revoked, nobody has the address.
    DROPPED = "dropped", _("Not needed any more")
    FAILED = "failed", _("Failed")
