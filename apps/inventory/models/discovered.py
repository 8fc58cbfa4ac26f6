"""What rows that agents discover have in common."""

from django.db import models

from apps.inventory.choices import Source
from apps.tenancy.models import TenantModel


class DiscoverableModel(TenantModel):
    """A row that an agent may add or fill in, and that an operator may overrule."""

    source = models.CharField(max_length=20, choices=Source.choices, default=Source.OPERATOR)
    # Fields that a person has set: discovery leaves them alone from then on.
    operator_fields = models.JSONField(default=list, blank=True, editable=False)
    # When an agent last listed it, null: never. Agents list what is new or changed, not everything each time.
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True
