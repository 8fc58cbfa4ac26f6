from django.db import models
from guardian.models import UserObjectPermissionBase

from apps.inventory.models.devices import Device
from apps.inventory.models.sites import Site
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class SiteGrant(TenantModel, UserObjectPermissionBase):
    """A limited member may see this site and its devices. Deleted with the membership (by a database foreign key)."""

    content_object = TenantForeignKey(
        Site, on_delete=models.CASCADE, related_name="grants", db_column="site_id"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "user", "permission", "content_object"],
                name="inventory_sitegrant_uniq",
            )
        ]


class DeviceGrant(TenantModel, UserObjectPermissionBase):
    """A limited member may see this device and what belongs to it. Deleted with the membership."""

    content_object = TenantForeignKey(
        Device, on_delete=models.CASCADE, related_name="grants", db_column="device_id"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "user", "permission", "content_object"],
                name="inventory_devicegrant_uniq",
            )
        ]
