from django.db import models
from guardian.models import UserObjectPermissionBase

from apps.inventory.models.devices import Device
from apps.inventory.models.sites import Site
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class SiteGrant(TenantModel, UserObjectPermissionBase):
    """A limited member sees this site with everything at it. It ends with the membership (a key of the database)."""

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
    """A limited member sees this router with everything on it. It ends with the membership."""

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
