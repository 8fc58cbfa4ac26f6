from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q

from apps.inventory.choices import LinkKind
from apps.inventory.models.devices import Device, Interface
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class Link(TenantModel):
    """A link between two devices, entered by an operator; without a Z device it leaves the network.

    Ends are interface names, bound to interfaces once those are discovered.
    """

    name = models.CharField(max_length=150)
    kind = models.CharField(max_length=20, choices=LinkKind.choices, default=LinkKind.OTHER)
    a_device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="links_a")
    a_interface_name = models.CharField(max_length=100, blank=True, default="")
    a_interface = TenantForeignKey(
        Interface, on_delete=models.SET_NULL, null=True, blank=True, related_name="links_a"
    )
    z_device = TenantForeignKey(
        Device, on_delete=models.CASCADE, null=True, blank=True, related_name="links_z"
    )
    z_interface_name = models.CharField(max_length=100, blank=True, default="")
    z_interface = TenantForeignKey(
        Interface, on_delete=models.SET_NULL, null=True, blank=True, related_name="links_z"
    )
    capacity_bps = models.PositiveBigIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="inventory_link_name_uniq"),
            models.CheckConstraint(
                condition=Q(kind__in=LinkKind.values), name="inventory_link_kind_ck"
            ),
            models.CheckConstraint(
                condition=Q(z_device__isnull=True) | ~Q(a_device=F("z_device")),
                name="inventory_link_ends_ck",
            ),
        ]

    def __str__(self) -> str:
        return self.name
