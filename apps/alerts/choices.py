"""Closed lists of alerts."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Severity(models.TextChoices):
    INFO = "info", _("Info")
    WARN = "warn", _("Warning")
    CRITICAL = "critical", _("Critical")


class ImportMode(models.TextChoices):
    """What an import does to the rules of its pack that are already there."""

    MERGE = "merge", _("Merge")
    REPLACE = "replace", _("Replace")


class AlertState(models.TextChoices):
    """Where an alert stands. `suppressed` and `in maintenance` are not states: they lie over firing."""

    OK = "ok", _("OK")
    PENDING = "pending", _("Pending")
    FIRING = "firing", _("Firing")
    RECOVERING = "recovering", _("Recovering")


class Symptom(models.TextChoices):
    """What an alert means to correlation, whatever the rule is called."""

    INTERFACE_DOWN = "interface_down", _("Interface down")
    ADJACENCY_DOWN = "adjacency_down", _("Adjacency lost")
    BGP_DOWN = "bgp_down", _("BGP session lost")
    UNREACHABLE = "unreachable", _("Unreachable")
    MANAGEMENT_PLANE = "management_plane", _("Management plane")
    AGENT_MISSING = "agent_missing", _("Agent silent")
    SESSIONS_LOST = "sessions_lost", _("Sessions lost")
    POWER_LOST = "power_lost", _("Power lost")
    SOFT = "soft", _("Soft")
