"""Closed lists of incidents."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class IncidentStatus(models.TextChoices):
    OPEN = "open", _("Open")
    CLOSED = "closed", _("Closed")


class PublishedStatus(models.TextChoices):
    """The status of an incident in its last published webhook event."""

    NOTHING = "", _("Nothing published")
    OPEN = "open", _("Open")
    CLOSED = "closed", _("Closed")


class Resolution(models.TextChoices):
    """How an incident ended."""

    RECOVERED = "recovered", _("Recovered")
    OPERATOR = "operator", _("Closed manually")
    MERGED = "merged", _("Merged into another incident")
    REMOVED = "removed", _("No longer monitored")


class EntryKind(models.TextChoices):
    """Kinds of timeline entries."""

    OPENED = "opened", _("opened")
    ALERT = "alert", _("alert")
    RECOVERY = "recovery", _("recovery")
    VERDICT = "verdict", _("verdict")
    ACKNOWLEDGED = "acknowledged", _("acknowledged")
    ASSIGNED = "assigned", _("assigned")
    NOTE = "note", _("note")
    MAINTENANCE = "maintenance", _("maintenance")
    DELIVERY = "delivery", _("delivery")
    CLOSED = "closed", _("closed")
