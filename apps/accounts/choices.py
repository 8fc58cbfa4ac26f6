"""Closed lists of accounts."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class ListPage(models.TextChoices):
    """A list of the console that each member may look at in their own way."""

    DEVICES = "devices", _("Devices")
    SITES = "sites", _("Sites")
    ALERTS = "alerts", _("Alerts")
    INCIDENTS = "incidents", _("Incidents")
