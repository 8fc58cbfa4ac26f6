"""Audited downloads of long lists, read in batches while they are streamed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from apps.audit.services import record
from apps.authorization.access import Access
from apps.authorization.requests import PAGE_SECONDS
from apps.pages.csv_export import Cell, csv_export
from apps.tenancy import acting_in

ROWS_AT_ONCE = 500
Row = Sequence[Cell]


@dataclass(frozen=True)
class Download:
    """A list to download. ``row_count`` is the number of matching rows at the time of the request."""

    page: str
    columns: Sequence[str]
    rows: Iterator[Row]
    row_count: int


def send_download(
    download: Download, *, access: Access, params: Mapping[str, str], at: datetime
) -> StreamingHttpResponse:
    """The streaming response. The download is audited, with its filter, before the first row is sent."""
    chosen = {name: value for name, value in params.items() if value}
    record(
        action="list.downloaded",
        actor=access.actor,
        entity=("list", download.page),
        at=at,
        detail={"filter": chosen, "rows": download.row_count},
    )
    return csv_export(download.page, download.columns, download.rows)


def rows_in_batches(
    access: Access, ids: Sequence[UUID], render_rows: Callable[[list[UUID]], Sequence[Row]]
) -> Iterator[Row]:
    """The rendered rows of these ids, in order. Each batch is read in a transaction of its own that ends before it is
    sent: a slow client holds no transaction open.
    """
    for start in range(0, len(ids), ROWS_AT_ONCE):
        with acting_in(access.tenant, seconds=PAGE_SECONDS):
            part = render_rows(list(ids[start : start + ROWS_AT_ONCE]))
        yield from part


def rows_in_order(rows: QuerySet[Any], ids: Sequence[UUID]) -> list[Any]:
    """The rows of these ids, in order, without deleted ones. One query."""
    found = {row.pk: row for row in rows.filter(pk__in=ids)}
    return [found[pk] for pk in ids if pk in found]
