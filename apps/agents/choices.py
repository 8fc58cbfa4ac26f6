from django.db import models
from django.utils.translation import gettext_lazy as _


class AgentStatus(models.TextChoices):
    """Where an agent is in its life."""

    PENDING = "pending", _("Waiting for enrollment")
    ACTIVE = "active", _("Active")
    REVOKED = "revoked", _("Revoked")
