"""Visibility for members with a limited grant: only windows whose targets are all within the grant."""

from uuid import UUID

from django.db.models import Q

from apps.authorization.limits import limit_rows, rows_within
from apps.inventory.models import Device, Site
from apps.maintenance.models import MaintenanceWindow, WindowTarget


def register_limits() -> None:
    limit_rows(MaintenanceWindow, _fully_within)


def _fully_within(user_id: UUID) -> Q:
    sites = Site.objects.filter(rows_within(Site, user_id)).values("pk")
    devices = Device.objects.filter(rows_within(Device, user_id)).values("pk")
    visible = WindowTarget.objects.filter(Q(site__in=sites) | Q(device__in=devices))
    outside = WindowTarget.objects.exclude(pk__in=visible.values("pk"))
    return Q(pk__in=visible.values("window")) & ~Q(pk__in=outside.values("window"))
