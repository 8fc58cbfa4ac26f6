"""Writes of maintenance windows."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.models import Device, Site
from apps.maintenance.choices import WindowState
from apps.maintenance.errors import TargetUnknown, WindowEnded, WindowInvalid
from apps.maintenance.models import MaintenanceWindow, WindowTarget

#: A forgotten window must not suppress notifications for ever.
MAX_DURATION = timedelta(days=31)
#: Of sites, and the same number of devices, in one window.
MAX_TARGETS = 1000


def plan_window(
    *,
    title: str,
    starts_at: datetime,
    ends_at: datetime,
    site_ids: Collection[UUID] = (),
    device_ids: Collection[UUID] = (),
    reason: str = "",
    notify_critical: bool = False,
    actor: Actor,
    at: datetime,
) -> MaintenanceWindow:
    """Plan maintenance of sites (with all of their routers) and routers. Raises WindowInvalid, TargetUnknown."""
    _check_times(starts_at, ends_at)
    if ends_at <= at:
        raise WindowInvalid(message="The window would have ended already.")
    with transaction.atomic():
        window = MaintenanceWindow.objects.create(
            title=title,
            reason=reason,
            starts_at=starts_at,
            ends_at=ends_at,
            notify_critical=notify_critical,
            created_by=actor.label,
            created_at=at,
        )
        _set_targets(window, site_ids, device_ids)
        _audit("maintenance_window.planned", window, actor, at, _audit_values(window))
    return window


def change_window(
    *, window: MaintenanceWindow, changes: Mapping[str, Any], actor: Actor, at: datetime
) -> MaintenanceWindow:
    """Change a window that has not ended. Raises WindowInvalid, TargetUnknown, WindowEnded."""
    with transaction.atomic():
        window = MaintenanceWindow.objects.select_for_update().get(pk=window.pk)
        _require_not_ended(window, at)
        before = _audit_values(window)
        targets = {"site_ids": window.site_ids, "device_ids": window.device_ids}
        new_targets = {name: changes.get(name, current) for name, current in targets.items()}
        for name, value in changes.items():
            if name not in targets:
                setattr(window, name, value)
        _check_times(window.starts_at, window.ends_at)
        window.save()
        if new_targets != targets:
            WindowTarget.objects.filter(window=window).delete()
            _set_targets(window, **new_targets)
        after = _audit_values(window)
        fields = {
            name: [before[name], after[name]] for name in after if after[name] != before[name]
        }
        _audit("maintenance_window.changed", window, actor, at, {"fields": fields})
    return window


def end_window(*, window: MaintenanceWindow, actor: Actor, at: datetime) -> MaintenanceWindow:
    """End a window now, or cancel it before it begins. Open incidents notify from then on. Raises WindowEnded."""
    with transaction.atomic():
        window = MaintenanceWindow.objects.select_for_update().get(pk=window.pk)
        _require_not_ended(window, at)
        window.ended_at = at
        window.save(update_fields=["ended_at"])
        _audit("maintenance_window.ended", window, actor, at, {"title": window.title})
    return window


def _require_not_ended(window: MaintenanceWindow, at: datetime) -> None:
    if window.state_at(at) == WindowState.OVER:
        raise WindowEnded(message="This maintenance window has ended.")


def _check_times(starts_at: datetime, ends_at: datetime) -> None:
    if ends_at <= starts_at:
        raise WindowInvalid(message="A maintenance window must end after it starts.")
    if ends_at - starts_at > MAX_DURATION:
        raise WindowInvalid(message=f"A maintenance window lasts at most {MAX_DURATION.days} days.")


def _set_targets(
    window: MaintenanceWindow, site_ids: Collection[UUID], device_ids: Collection[UUID]
) -> None:
    sites = set(Site.objects.filter(pk__in=site_ids).values_list("pk", flat=True))
    devices = set(Device.objects.filter(pk__in=device_ids).values_list("pk", flat=True))
    unknown = (set(site_ids) - sites) | (set(device_ids) - devices)
    if unknown:
        raise TargetUnknown.of(unknown)
    if not sites and not devices:
        raise WindowInvalid(message="A maintenance window needs at least one site or router.")
    WindowTarget.objects.bulk_create(
        [
            *(WindowTarget(window=window, site_id=pk) for pk in sorted(sites)),
            *(WindowTarget(window=window, device_id=pk) for pk in sorted(devices)),
        ]
    )


def _audit_values(window: MaintenanceWindow) -> dict[str, Any]:
    targets = WindowTarget.objects.filter(window=window)
    pairs = list(targets.values_list("site_id", "device_id"))
    return {
        "title": window.title,
        "starts_at": window.starts_at.isoformat(),
        "ends_at": window.ends_at.isoformat(),
        "notify_critical": window.notify_critical,
        "sites": sorted(str(site_id) for site_id, _ in pairs if site_id),
        "devices": sorted(str(device_id) for _, device_id in pairs if device_id),
    }


def _audit(
    action: str, window: MaintenanceWindow, actor: Actor, at: datetime, detail: Mapping[str, Any]
) -> None:
    record(
        action=action,
        actor=actor,
        entity=("maintenance_window", window.id),
        at=at,
        detail=dict(detail),
    )
