from django.db import models
from django.utils.translation import gettext_lazy as _


class Purpose(models.TextChoices):
    """Why a secret is opened; stored in the audit log."""

    AGENT_CONFIG = "agent_config", _("Agent configuration")
    WEBHOOK_SIGNING = "webhook_signing", _("Webhook signing")
    CONNECTION_TEST = "connection_test", _("Connection test")
