"""Choices of webhook models."""

from django.db import models
from django.utils.translation import gettext_lazy as _

#: ``Destination.channel`` of webhooks.
CHANNEL_NAME = "webhook"


class SeverityFloor(models.TextChoices):
    """Incidents below it are not sent."""

    INFO = "info", _("Info and above")
    WARN = "warn", _("Warning and above")
    CRITICAL = "critical", _("Critical only")


SEVERITY_ORDER = {"info": 0, "warn": 1, "critical": 2}


class SecretStage(models.TextChoices):
    """Stage of a secret in its rotation."""

    STAGED = "staged", _("Staged (signs in addition to the current secret)")
    CURRENT = "current", _("Current")
    RETIRING = "retiring", _("Retiring (signs until its grace period ends)")
