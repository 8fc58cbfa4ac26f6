"""Closed lists of alerts."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Severity(models.TextChoices):
    INFO = "info", _("Info")
    WARN = "warn", _("Warning")
    CRITICAL = "critical", _("Critical")


class ImportMode(models.TextChoices):
    """How an import treats existing rules of the same pack."""

    MERGE = "merge", _("Merge")
    REPLACE = "replace", _("Replace")


class AlertState(models.TextChoices):
    """State of an alert. Suppression and maintenance are not states: they are flags on a firing alert."""

    OK = "ok", _("OK")
    PENDING = "pending", _("Pending")
    FIRING = "firing", _("Firing")
    RECOVERING = "recovering", _("Recovering")


class EndReason(models.TextChoices):
    """Why an alert ended."""

    RECOVERED = "recovered", _("Recovered")
    REMOVED = "removed", _("Removed from the inventory")
    DISABLED = "disabled", _("Disabled")
    OUT_OF_SCOPE = "out_of_scope", _("Outside the scope of the rule")
    RULE_DISABLED = "rule_disabled", _("Rule disabled")
    NO_DATA = "no_data", _("No data")


class Symptom(models.TextChoices):
    """The kind of symptom that an alert is for correlation, independent of the rule's name."""

    INTERFACE_DOWN = "interface_down", _("Interface down")
    ADJACENCY_DOWN = "adjacency_down", _("Adjacency lost")
    BGP_DOWN = "bgp_down", _("BGP session lost")
    UNREACHABLE = "unreachable", _("Unreachable")
    MANAGEMENT_PLANE = "management_plane", _("Management plane")
    AGENT_MISSING = "agent_missing", _("Agent offline")
    SESSIONS_LOST = "sessions_lost", _("Sessions lost")
    POWER_LOST = "power_lost", _("Power lost")
    SOFT = "soft", _("Soft")
