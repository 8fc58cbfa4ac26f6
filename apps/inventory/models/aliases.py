from django.db import models
from django.db.models import Q

from apps.inventory.choices import EntityType
from apps.inventory.models.devices import Device
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class EntityAlias(TenantModel):
    """Maps the id that agents report for a discovered entity to its row.

    Agents derive ids from natural keys. A row that an operator created with the same key, or whose key has changed on
    the router, keeps its id and history: only the alias changes.
    """

    wire_id = models.UUIDField()
    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="entity_aliases")
    entity_type = models.CharField(max_length=20, choices=EntityType.choices)
    entity_id = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "wire_id"], name="inventory_entityalias_wire_uniq"
            ),
            models.CheckConstraint(
                condition=Q(entity_type__in=EntityType.values), name="inventory_entityalias_type_ck"
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "entity_type", "entity_id"],
                name="inventory_entityalias_ref_idx",
            )
        ]
