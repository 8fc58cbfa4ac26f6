"""Enumerations of accounts."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class ListPage(models.TextChoices):
    """Lists of the console with personal settings."""

    DEVICES = "devices", _("Devices")
    SITES = "sites", _("Sites")
    ALERTS = "alerts", _("Alerts")
    INCIDENTS = "incidents", _("Incidents")
