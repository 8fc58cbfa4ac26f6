"""CSV export of the incident list: every row of a filter, in its order. Values are those of the REST API."""

from collections.abc import Sequence
from uuid import UUID

from apps.accounts.choices import ListPage
from apps.authorization.access import Access
from apps.incidents.models import Incident
from apps.incidents.web.pages import filtered_incidents
from apps.pages.csv_export import Cell
from apps.pages.downloads import Download, rows_in_batches, rows_in_order
from apps.pages.lists import ListParams

COLUMNS = (
    *("number", "status", "severity", "title", "cause", "confidence"),
    *("sites", "devices", "services", "subscribers", "consequences"),
    *("started_at", "ended_at", "acknowledged_by", "assigned_to", "resolution"),
)


def queue_csv(access: Access, params: ListParams) -> Download:
    """One query for the ids, one for each part of the rows."""

    def rows_of(ids: list[UUID]) -> list[Sequence[Cell]]:
        return [
            (
                *(row.number, row.status, row.severity, row.english_title, row.display_root_name),
                *(row.confidence, row.sites_affected, row.devices_affected),
                *(row.services_affected, row.subscribers_affected, row.suppressed_count),
                *(row.started_at, row.ended_at, row.acked_by, row.assigned_to, row.resolution),
            )
            for row in rows_in_order(Incident.objects.visible_to(access), ids)
        ]

    ids = list(filtered_incidents(access, params).values_list("pk", flat=True))
    return Download(ListPage.INCIDENTS, COLUMNS, rows_in_batches(access, ids, rows_of), len(ids))
