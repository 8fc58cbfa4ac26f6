from django.db import models

from apps.inventory.models.devices import Device
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class DeviceCredential(TenantModel):
    """A further login to try on a router, in order of ``position``, when those before it are refused.

    The first RouterOS login is ``Device.credential_set``; these come after it, and are all there is of other kinds.
    """

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="further_credentials")
    credential_set = TenantForeignKey(
        "vault.CredentialSet", on_delete=models.PROTECT, related_name="further_devices"
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
