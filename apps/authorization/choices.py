"""Closed lists of authorization."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a member is in a tenant."""

    ADMIN = "admin", _("Admin")
    NOC = "noc", _("NOC")
    READONLY = "readonly", _("Read only")
    AUDITOR = "auditor", _("Auditor")
