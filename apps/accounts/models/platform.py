"""Platform operators and their access sessions."""

from django.db import models
from django.db.models import F, Q

from apps.accounts.models.users import User
from apps.tenancy.models import TenantModel


class PlatformOperator(models.Model):
    """A user who runs the installation. A global table, read-only for the app role: only the database owner adds rows
    (``manage platform_operator``), never web or worker."""

    user = models.OneToOneField(
        User, on_delete=models.CASCADE, primary_key=True, related_name="platform_operator"
    )
    since = models.DateTimeField()


class BreakGlass(TenantModel):
    """A platform operator's access session in a tenant: with a reason, for a limited time, visible to the tenant."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    opened_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("opened_at")), name="accounts_breakglass_expires_ck"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="accounts_breakglass_reason_ck"),
            # One open session per operator and tenant.
            models.UniqueConstraint(
                fields=["tenant", "user"],
                condition=Q(closed_at=None),
                name="accounts_breakglass_open_uniq",
            ),
        ]
        indexes = [models.Index(fields=["tenant", "-opened_at"], name="accounts_breakglass_at_idx")]
