from django.db import models

from apps.inventory.models.devices import Device
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class DeviceCredential(TenantModel):
    """A fallback credential set of a device, tried in order of ``position`` when those before it are refused.

    The first one that the device's collector logs in with is ``Device.credential_set``; other kinds are only here.
    """

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="fallback_credentials")
    credential_set = TenantForeignKey(
        "vault.CredentialSet", on_delete=models.PROTECT, related_name="fallback_devices"
    )
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "device", "credential_set"],
                name="inventory_devicecredential_set_uniq",
            )
        ]
