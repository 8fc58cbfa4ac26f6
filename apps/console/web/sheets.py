"""Devices, sites and alerts as files: all that a filter chooses, in its order. Words are those of the REST API."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from apps.accounts.choices import ListPage
from apps.alerts.selectors import open_alerts
from apps.authorization.access import Access
from apps.console.web.alerts import AlertFilter, alert_rows, chosen_alerts
from apps.console.web.devices import DeviceFilter, chosen_devices, device_rows
from apps.console.web.sites import SiteFilter, chosen_sites, devices_by_site, site_rows
from apps.console.web.states import UNREAD
from apps.inventory import selectors as inventory
from apps.pages.csv_export import Cell
from apps.pages.downloads import Download, rows_in_batches, rows_in_order
from apps.telemetry.reachability import reachability_of_devices

DEVICES = (
    *("name", "state", "site", "role", "management_address", "board_name", "version"),
    *("uptime_seconds", "read_at", "open_alerts"),
)
SITES = ("name", "code", "devices", "up", "down", "blind", "unknown")
ALERTS = (
    *("severity", "state", "summary", "entity", "rule", "seen", "since", "incident"),
    *("suppression_reason", "is_flapping", "in_maintenance"),
)


def device_sheet(access: Access, asked: DeviceFilter, *, at: datetime) -> Download:
    """A query for which they are, nine for each part of what they say."""
    sites = {pk: name for pk, name, _code in inventory.visible_site_names(access)}

    def tell(ids: list[UUID]) -> list[Sequence[Cell]]:
        devices = rows_in_order(inventory.visible_devices(access), ids)
        reach = reachability_of_devices(at, ids)
        shown = device_rows(access, devices, reach, sites=sites, at=at)
        return [
            (
                *(row.name, str(reach.get(row.id, UNREAD)), row.site, device.role),
                *(row.address, row.board, row.version),
                *(row.uptime_seconds, row.read_at, row.alerts),
            )
            for device, row in zip(devices, shown, strict=True)
        ]

    ids = list(chosen_devices(access, asked, at).values_list("pk", flat=True))
    return Download(ListPage.DEVICES, DEVICES, rows_in_batches(access, ids, tell), len(ids))


def site_sheet(access: Access, asked: SiteFilter, *, at: datetime) -> Download:
    """Two queries."""
    rows = chosen_sites(site_rows(access, devices_by_site(access, at=at)), asked)
    told = [
        (row.name, row.code, row.total, row.up, row.down, row.blind, row.unknown) for row in rows
    ]
    return Download(ListPage.SITES, SITES, iter(told), len(told))


def alert_sheet(access: Access, asked: AlertFilter, *, at: datetime) -> Download:
    """A query for which they are, at most eleven for each part of what they say."""

    def tell(ids: list[UUID]) -> list[Sequence[Cell]]:
        alerts = rows_in_order(open_alerts(access), ids)
        return [
            (
                *(alert.severity, alert.state, row.summary, row.entity, row.rule, row.seen),
                *(row.since, row.incident_number, row.suppression_reason),
                *(row.is_flapping, row.in_maintenance),
            )
            for alert, row in zip(alerts, alert_rows(access, alerts, at=at), strict=True)
        ]

    ids = list(chosen_alerts(access, asked).values_list("pk", flat=True))
    return Download(ListPage.ALERTS, ALERTS, rows_in_batches(access, ids, tell), len(ids))
