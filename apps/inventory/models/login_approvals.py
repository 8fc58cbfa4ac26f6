from django.db import models
from django.db.models import Q

from apps.inventory.models.devices import Device
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class LoginApproval(TenantModel):
    """The approved destination of a device's credentials.

    Not the present one: while the two differ, agents receive no credentials. Written by ``services.login_approvals``.
    """

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="login_approvals")
    address = models.GenericIPAddressField()
    port = models.PositiveIntegerField()
    tls = models.BooleanField()
    # Sorted ids as text: of the credential sets, and of the agents that may receive them.
    credential_sets = models.JSONField(default=list)
    agents = models.JSONField(default=list)
    approved_by = models.JSONField()
    approved_at = models.DateTimeField()

    # SHA-256 of the router's TLS certificate (DER, lower-case hexadecimal) at the first login that it accepted.
    certificate = models.CharField(max_length=64, blank=True, default="")
    certificate_at = models.DateTimeField(null=True, blank=True)
    # Another certificate that the device presented; no credentials were sent to it. Empty: none.
    presented_certificate = models.CharField(max_length=64, blank=True, default="")
    presented_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "device"], name="inventory_loginapproval_device_uniq"
            ),
            models.CheckConstraint(
                condition=Q(port__range=(1, 65535)), name="inventory_loginapproval_port_ck"
            ),
        ]
