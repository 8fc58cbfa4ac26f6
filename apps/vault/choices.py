from django.db import models
from django.utils.translation import gettext_lazy as _


class CredentialKind(models.TextChoices):
    """What a credential set opens."""

    ROUTEROS_API = "routeros_api", _("RouterOS API")
