"""Base model of rows that agents discover."""

from django.db import models

from apps.inventory.choices import Source
from apps.tenancy.models import TenantModel


class DiscoverableModel(TenantModel):
    """A row that an agent may create or fill in, and that an operator may override."""

    source = models.CharField(max_length=20, choices=Source.choices, default=Source.OPERATOR)
    # Fields that an operator has set: discovery no longer changes them.
    operator_fields = models.JSONField(default=list, blank=True, editable=False)
    # When an agent last reported it; null: never. Agents report what is new or changed, not everything each time.
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True
