"""The tenant, and the base of every row that one owns."""

import uuid

from django.db import models
from django.db.models.functions import Lower

from apps.tenancy.fields import TenantField


class Tenant(models.Model):
    """One ISP on this installation. Global: row-level security policies refer to its id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=63)
    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # Roles (``authorization.choices.Role``) that require a second factor. In this table because each request reads the
    # tenant before its transaction begins.
    second_factor_roles = models.JSONField(default=list, blank=True)
    # Whether a second factor verified by an identity provider is sufficient.
    accepts_provider_factor = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("slug"), name="tenancy_tenant_slug_uniq")]

    def __str__(self) -> str:
        return self.name


class TenantModel(models.Model):
    """A row of one tenant, hidden from others by row-level security.

    ``tenant`` defaults to the tenant of ``acting_in``: no other one can be stored, because the policy of the table
    refuses it, and outside ``acting_in`` the column is null and the row refused (ADR 0022). Each migration that
    creates one follows with ``operations.IsolateTenantTable`` (the catalog lint fails the build otherwise), and each
    app defines in its ``limits`` which rows a limited member sees (default: none).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = TenantField(Tenant, on_delete=models.PROTECT, related_name="+", editable=False)

    class Meta:
        abstract = True
