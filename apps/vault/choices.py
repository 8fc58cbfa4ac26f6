from django.db import models
from django.utils.translation import gettext_lazy as _


class CredentialKind(models.TextChoices):
    """The protocol that a credential set is for."""

    ROUTEROS_API = "routeros_api", _("RouterOS API")
    SNMP_V2C = "snmp_v2c", _("SNMP v2c")
    SNMP_V3 = "snmp_v3", _("SNMP v3")
    SSH = "ssh", _("SSH")
    WEBHOOK = "webhook", _("Webhook")


class Purpose(models.TextChoices):
    """Why a secret is opened; stored in the audit log."""

    AGENT_CONFIG = "agent_config", _("Agent configuration")
    WEBHOOK_SIGNING = "webhook_signing", _("Webhook signing")
    CONNECTION_TEST = "connection_test", _("Connection test")
