"""Enumerations of authorization."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """The role of a member in a tenant."""

    ADMIN = "admin", _("Admin")
    NOC = "noc", _("NOC")
    READONLY = "readonly", _("Read only")
    AUDITOR = "auditor", _("Auditor")
