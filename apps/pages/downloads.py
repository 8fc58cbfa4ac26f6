"""Long lists on their way to a member: on the audit record first, then read in parts while they are sent."""

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
from apps.pages.csv_export import Cell, sheet
from apps.tenancy import acting_in

ROWS_AT_ONCE = 500
Row = Sequence[Cell]


@dataclass(frozen=True)
class Download:
    """A list as a file: which one, of which filter, and how many rows that chose when it was asked for."""

    page: str
    columns: Sequence[str]
    rows: Iterator[Row]
    number: int


def send(
    download: Download, *, access: Access, asked: Mapping[str, str], at: datetime
) -> StreamingHttpResponse:
    """The answer that sends it. Who takes which list, by which filter, is audited before the first row leaves."""
    chosen = {name: value for name, value in asked.items() if value}
    record(
        action="list.downloaded",
        actor=access.actor,
        entity=("list", download.page),
        at=at,
        detail={"filter": chosen, "rows": download.number},
    )
    return sheet(download.page, download.columns, download.rows)


def in_parts(
    access: Access, ids: Sequence[UUID], tell: Callable[[list[UUID]], Sequence[Row]]
) -> Iterator[Row]:
    """What ``tell`` says of these rows, in their order. Each part is read in a transaction of its own, which is over
    before the part is sent: a slow line holds none open.
    """
    for start in range(0, len(ids), ROWS_AT_ONCE):
        with acting_in(access.tenant, seconds=PAGE_SECONDS):
            part = tell(list(ids[start : start + ROWS_AT_ONCE]))
        yield from part


def rows_named(rows: QuerySet[Any], ids: Sequence[UUID]) -> list[Any]:
    """The rows of these ids, in their order, without those that are gone. One query."""
    found = {row.pk: row for row in rows.filter(pk__in=ids)}
    return [found[pk] for pk in ids if pk in found]
