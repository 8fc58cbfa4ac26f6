"""Probe targets and customer services."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from apps.inventory.choices import ProbeMethod, ServiceKind, Source
from apps.inventory.models.devices import PORT, Device
from apps.inventory.models.discovered import DiscoverableModel
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class ProbeTarget(TenantModel):
    """An address and port that agents probe. With a device it is probed by the agents that poll
    the device; without one by every agent."""

    device = TenantForeignKey(
        Device, on_delete=models.CASCADE, null=True, blank=True, related_name="probe_targets"
    )
    name = models.CharField(max_length=150)
    method = models.CharField(max_length=20, choices=ProbeMethod.choices)
    address = models.GenericIPAddressField()
    port = models.PositiveIntegerField(validators=PORT)
    interval_seconds = models.PositiveIntegerField(
        default=10, validators=[MinValueValidator(1), MaxValueValidator(3600)]
    )
    # Packets per round; the unanswered share is the packet loss.
    count = models.PositiveIntegerField(
        default=5, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    timeout_seconds = models.FloatField(
        default=1.0, validators=[MinValueValidator(0.05), MaxValueValidator(30)]
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], name="inventory_probetarget_name_uniq"
            ),
            models.CheckConstraint(
                condition=Q(method__in=ProbeMethod.values), name="inventory_probetarget_method_ck"
            ),
            models.CheckConstraint(
                condition=Q(port__range=(1, 65535)), name="inventory_probetarget_port_ck"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Service(DiscoverableModel):
    """A customer service, measured at a device: the PPPoE sessions of a BNG, a transit at an edge."""

    name = models.CharField(max_length=150)
    kind = models.CharField(max_length=20, choices=ServiceKind.choices, default=ServiceKind.OTHER)
    device = TenantForeignKey(
        Device, on_delete=models.CASCADE, null=True, blank=True, related_name="services"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "device", "kind", "name"],
                condition=Q(device__isnull=False),
                name="inventory_service_device_name_uniq",
            ),
            models.UniqueConstraint(
                fields=["tenant", "kind", "name"],
                condition=Q(device__isnull=True),
                name="inventory_service_name_uniq",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=ServiceKind.values), name="inventory_service_kind_ck"
            ),
            models.CheckConstraint(
                condition=Q(source__in=Source.values), name="inventory_service_source_ck"
            ),
        ]

    def __str__(self) -> str:
        return self.name
