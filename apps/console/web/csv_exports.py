"""CSV files of devices, sites and alerts: all rows of a filter, in its order. Values are those of the REST API."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from apps.accounts.choices import ListPage
from apps.alerts.models import Alert
from apps.authorization.access import Access
from apps.console.web.alerts import alert_rows, filtered_alerts
from apps.console.web.devices import DeviceFilter, device_rows, filtered_devices
from apps.console.web.sites import SiteFilter, devices_by_site, filtered_sites, site_rows
from apps.console.web.states import UNKNOWN_REACHABILITY
from apps.inventory import selectors as inventory
from apps.pages.csv_export import Cell
from apps.pages.downloads import Download, rows_in_batches, rows_in_order
from apps.pages.lists import ListParams
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


def export_devices(access: Access, filters: DeviceFilter, *, at: datetime) -> Download:
    """A query for the ids, nine per batch of rows."""
    sites = {pk: name for pk, name, _code in inventory.visible_site_names(access)}

    def export_rows(ids: list[UUID]) -> list[Sequence[Cell]]:
        devices = rows_in_order(inventory.visible_devices(access), ids)
        reachability = reachability_of_devices(at, ids)
        shown = device_rows(access, devices, reachability, sites=sites, at=at)
        return [
            (
                *(
                    row.name,
                    str(reachability.get(row.id, UNKNOWN_REACHABILITY)),
                    row.site,
                    device.role,
                ),
                *(row.address, row.board, row.version),
                *(row.uptime_seconds, row.read_at, row.alerts),
            )
            for device, row in zip(devices, shown, strict=True)
        ]

    ids = list(filtered_devices(access, filters, at).values_list("pk", flat=True))
    return Download(ListPage.DEVICES, DEVICES, rows_in_batches(access, ids, export_rows), len(ids))


def export_sites(access: Access, filters: SiteFilter, *, at: datetime) -> Download:
    """Two queries."""
    sites = filtered_sites(site_rows(access, devices_by_site(access, at=at)), filters)
    rows = [
        (row.name, row.code, row.total, row.up, row.down, row.blind, row.unknown) for row in sites
    ]
    return Download(ListPage.SITES, SITES, iter(rows), len(rows))


def export_alerts(access: Access, filters: ListParams, *, at: datetime) -> Download:
    """A query for the ids, at most eleven per batch of rows."""

    def export_rows(ids: list[UUID]) -> list[Sequence[Cell]]:
        alerts = rows_in_order(Alert.objects.visible_to(access).select_related("rule"), ids)
        return [
            (
                *(alert.severity, alert.state, row.summary, row.entity, row.rule, row.value),
                *(row.since, row.incident_number, row.suppression_reason),
                *(row.is_flapping, row.in_maintenance),
            )
            for alert, row in zip(alerts, alert_rows(access, alerts, at=at), strict=True)
        ]

    ids = list(filtered_alerts(access, filters).values_list("pk", flat=True))
    return Download(ListPage.ALERTS, ALERTS, rows_in_batches(access, ids, export_rows), len(ids))
