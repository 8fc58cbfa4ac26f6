"""The queue as a file: all that a filter chooses, in its order. Words are those of the REST API."""

from collections.abc import Sequence
from uuid import UUID

from apps.accounts.choices import ListPage
from apps.authorization.access import Access
from apps.incidents import selectors
from apps.incidents.web.pages import QueueFilter, chosen_incidents
from apps.pages.csv_export import Cell
from apps.pages.downloads import Download, rows_in_batches, rows_in_order

INCIDENTS = (
    *("number", "status", "severity", "title", "cause", "confidence"),
    *("sites", "devices", "services", "subscribers", "consequences"),
    *("started_at", "ended_at", "acknowledged_by", "assigned_to", "resolution"),
)


def queue_sheet(access: Access, asked: QueueFilter) -> Download:
    """A query for which they are, one for each part of what they say."""

    def tell(ids: list[UUID]) -> list[Sequence[Cell]]:
        return [
            (
                *(row.number, row.status, row.severity, row.shown_title, row.shown_root_name),
                *(row.confidence, row.sites_affected, row.devices_affected),
                *(row.services_affected, row.subscribers_affected, row.suppressed_count),
                *(row.started_at, row.ended_at, row.acked_by, row.assigned_to, row.resolution),
            )
            for row in rows_in_order(selectors.visible_incidents(access), ids)
        ]

    ids = list(chosen_incidents(access, asked).values_list("pk", flat=True))
    return Download(ListPage.INCIDENTS, INCIDENTS, rows_in_batches(access, ids, tell), len(ids))
