from django.db import models
from django.db.models import Q

from apps.inventory.choices import EntityType
from apps.inventory.models.devices import Device
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class WireAlias(TenantModel):
    """The id by which agents name a discovered entity, and the row that it means.

    Agents derive ids from natural keys without asking. An operator's own row with the same key, or a row whose
    key has changed on the router, keeps its id and its history: only the alias points to it.
    """

    wire_id = models.UUIDField()
    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="wire_aliases")
    entity_type = models.CharField(max_length=20, choices=EntityType.choices)
    entity_id = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "wire_id"], name="inventory_wirealias_wire_uniq"
            ),
            models.CheckConstraint(
                condition=Q(entity_type__in=EntityType.values), name="inventory_wirealias_type_ck"
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "entity_type", "entity_id"], name="inventory_wirealias_entity_idx"
            )
        ]
