"""Reads of maintenance windows."""

from collections import defaultdict
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.accounts.access import Access
from apps.accounts.permissions import Permission
from apps.maintenance.choices import WindowState
from apps.maintenance.coverage import ActiveWindow
from apps.maintenance.models import MaintenanceWindow, WindowTarget


def visible_windows(access: Access) -> QuerySet[MaintenanceWindow]:
    """Every window of the tenant with what it covers."""
    rows = MaintenanceWindow.objects.prefetch_related("targets")
    return access.visible(rows, Permission.MAINTENANCE_VIEW)


def windows_in_state(
    rows: QuerySet[MaintenanceWindow], state: str, at: datetime
) -> QuerySet[MaintenanceWindow]:
    """Those that are planned, active or over at a moment."""
    is_over = Q(ends_at__lte=at) | Q(ended_at__lte=at)
    if state == WindowState.OVER:
        return rows.filter(is_over)
    begun = Q(starts_at__lte=at)
    return rows.exclude(is_over).filter(begun if state == WindowState.ACTIVE else ~begun)


def active_windows(at: datetime) -> tuple[ActiveWindow, ...]:
    """The tenant's windows that are open at a moment, by id. Two queries, one where there is none."""
    rows = list(windows_in_state(MaintenanceWindow.objects.order_by("pk"), WindowState.ACTIVE, at))
    if not rows:
        return ()
    sites: dict[UUID, set[UUID]] = defaultdict(set)
    devices: dict[UUID, set[UUID]] = defaultdict(set)
    targets = WindowTarget.objects.filter(window__in=[row.pk for row in rows])
    for window_id, site_id, device_id in targets.values_list("window_id", "site_id", "device_id"):
        if site_id is not None:
            sites[window_id].add(site_id)
        if device_id is not None:
            devices[window_id].add(device_id)
    return tuple(
        ActiveWindow(
            id=row.id,
            title=row.title,
            site_ids=frozenset(sites[row.id]),
            device_ids=frozenset(devices[row.id]),
            lets_critical_through=row.lets_critical_through,
        )
        for row in rows
    )
