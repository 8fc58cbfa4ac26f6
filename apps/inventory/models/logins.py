from django.db import models
from django.db.models import Q

from apps.inventory.models.devices import Device
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class LoginApproval(TenantModel):
    """Where the logins of a device may be sent, as somebody with the right to decide it approved last.

    Not what the device has now: while the two differ, agents get no login for it. Written by ``services.logins``.
    """

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="login_approvals")
    address = models.GenericIPAddressField()
    port = models.PositiveIntegerField()
    tls = models.BooleanField()
    # Ids as sorted text: of the credential sets, and of the agents that may be given them.
    credential_sets = models.JSONField(default=list)
    agents = models.JSONField(default=list)
    approved_by = models.JSONField()
    approved_at = models.DateTimeField()

    # SHA-256 of the router's TLS certificate (DER, lower-case hexadecimal) at the first login that it accepted.
    certificate = models.CharField(max_length=64, blank=True, default="")
    certificate_at = models.DateTimeField(null=True, blank=True)
    # The other certificate that an agent met there and sent no login to. Empty: none.
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
