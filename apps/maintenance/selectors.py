"""Reads of maintenance windows."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import BooleanField, Case, Count, Q, QuerySet, When

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core.errors import NotVisible
from apps.inventory.selectors import visible_devices, visible_sites
from apps.maintenance.choices import WindowState
from apps.maintenance.coverage import ActiveWindow
from apps.maintenance.errors import TargetUnknown
from apps.maintenance.models import MaintenanceWindow, WindowTarget


def visible_windows(access: Access) -> QuerySet[MaintenanceWindow]:
    """The windows that this member may see, with their targets."""
    rows = MaintenanceWindow.objects.prefetch_related("targets")
    return access.visible(rows, Permission.MAINTENANCE_VIEW)


def get_visible_window(access: Access, window_id: UUID) -> MaintenanceWindow:
    """One of them. Raises NotVisible, whether it belongs to another tenant or does not exist."""
    window = visible_windows(access).filter(pk=window_id).first()
    if window is None:
        raise NotVisible
    return window


def current_windows_for(
    access: Access,
    *,
    site_ids: Collection[UUID] = (),
    device_ids: Collection[UUID] = (),
    at: datetime,
) -> list[MaintenanceWindow]:
    """Active and planned windows that cover any of these, by start. One query."""
    targets = WindowTarget.objects.filter(Q(site__in=site_ids) | Q(device__in=device_ids))
    rows = visible_windows(access).prefetch_related(None).filter(pk__in=targets.values("window"))
    return list(not_ended(rows, at).order_by("starts_at", "pk"))


def not_ended(rows: QuerySet[MaintenanceWindow], at: datetime) -> QuerySet[MaintenanceWindow]:
    """Those that are active or planned at a moment."""
    return rows.exclude(_has_ended(at))


def require_visible_targets(
    access: Access, *, site_ids: Collection[UUID] = (), device_ids: Collection[UUID] = ()
) -> None:
    """Raise TargetUnknown where a member with a limited grant names a target that they do not see. No query for other
    members: the service checks that targets exist."""
    if not access.is_limited:
        return
    visible = set(visible_sites(access).filter(pk__in=site_ids).values_list("pk", flat=True))
    visible |= set(visible_devices(access).filter(pk__in=device_ids).values_list("pk", flat=True))
    unknown = {*site_ids, *device_ids} - visible
    if unknown:
        raise TargetUnknown.of(unknown)


def windows_in_state(
    rows: QuerySet[MaintenanceWindow], state: str, at: datetime
) -> QuerySet[MaintenanceWindow]:
    """Those that are planned, active or ended at a moment."""
    if state == WindowState.OVER:
        return rows.filter(_has_ended(at))
    has_started = Q(starts_at__lte=at)
    return not_ended(rows, at).filter(has_started if state == WindowState.ACTIVE else ~has_started)


def counts_by_state(rows: QuerySet[MaintenanceWindow], at: datetime) -> dict[str, int]:
    """Number of these windows by state at a moment. One query."""
    has_ended = Case(When(_has_ended(at), then=True), default=False, output_field=BooleanField())
    counts = rows.annotate(has_ended=has_ended).aggregate(
        over=Count("pk", filter=Q(has_ended=True)),
        active=Count("pk", filter=Q(has_ended=False, starts_at__lte=at)),
        planned=Count("pk", filter=Q(has_ended=False, starts_at__gt=at)),
    )
    return {state: counts[state] for state in WindowState.values}


def _has_ended(at: datetime) -> Q:
    return Q(ends_at__lte=at) | Q(ended_at__lte=at)


def active_windows(at: datetime) -> tuple[ActiveWindow, ...]:
    """The tenant's windows that are active at a moment, by id. Two queries, one if there is none."""
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
            notify_critical=row.notify_critical,
        )
        for row in rows
    )
