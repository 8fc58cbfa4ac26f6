"""Maintenance windows and their targets."""

from datetime import datetime
from uuid import UUID

from django.db import models
from django.db.models import F, Q

from apps.maintenance.choices import WindowState
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class MaintenanceWindow(TenantModel):
    """Planned maintenance. Its state is derived from the clock: no task has to run for it to begin or to end."""

    title = models.CharField(max_length=200)
    reason = models.CharField(max_length=2000, blank=True, default="")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    # Ended early, or cancelled before it began.
    ended_at = models.DateTimeField(null=True, blank=True)
    notify_critical = models.BooleanField(default=False)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="maintenance_window_times_ck"
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "-starts_at", "-id"], name="maintenance_starts_idx"),
            models.Index(
                fields=["tenant", "ends_at"],
                condition=Q(ended_at__isnull=True),
                name="maintenance_open_idx",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def site_ids(self) -> list[UUID]:
        """The sites that it covers, with every router in them."""
        return sorted(row.site_id for row in self.targets.all() if row.site_id)

    @property
    def device_ids(self) -> list[UUID]:
        """The routers that it covers directly."""
        return sorted(row.device_id for row in self.targets.all() if row.device_id)

    @property
    def effective_end(self) -> datetime:
        """When it ended or will end."""
        return min(self.ended_at, self.ends_at) if self.ended_at else self.ends_at

    def state_at(self, at: datetime) -> WindowState:
        if at >= self.effective_end:
            return WindowState.OVER
        return WindowState.ACTIVE if at >= self.starts_at else WindowState.PLANNED


class WindowTarget(TenantModel):
    """One site or one router that a window covers."""

    window = TenantForeignKey(MaintenanceWindow, on_delete=models.CASCADE, related_name="targets")
    site = TenantForeignKey(
        "inventory.Site", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    device = TenantForeignKey(
        "inventory.Device", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(site__isnull=False, device__isnull=True)
                | Q(site__isnull=True, device__isnull=False),
                name="maintenance_target_one_ck",
            ),
            models.UniqueConstraint(
                fields=["tenant", "window", "site", "device"],
                name="maintenance_target_uniq",
                nulls_distinct=False,
            ),
        ]
