"""Closed lists of incidents."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class IncidentStatus(models.TextChoices):
    OPEN = "open", _("Open")
    CLOSED = "closed", _("Closed")


class ToldAs(models.TextChoices):
    """How an incident stands by what the receivers of webhooks were last told."""

    NOTHING = "", _("Nobody was told")
    OPEN = "open", _("Open")
    CLOSED = "closed", _("Closed")


class Resolution(models.TextChoices):
    """How an incident ended."""

    RECOVERED = "recovered", _("Recovered")
    OPERATOR = "operator", _("Closed by a person")
    MERGED = "merged", _("Part of another incident")


class EntryKind(models.TextChoices):
    """What a line of the timeline tells."""

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
