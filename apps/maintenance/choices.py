"""Closed lists of maintenance."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class WindowState(models.TextChoices):
    """State of a window at a moment, derived from its times."""

    PLANNED = "planned", _("Planned")
    ACTIVE = "active", _("Active")
    OVER = "over", _("Ended")
