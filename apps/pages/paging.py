"""Pages of a list, with the addresses of the page before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from apps.pages.params import query_of

PAGE_SIZE = 50


@dataclass(frozen=True)
class Pager:
    """Where in a list the screen stands; the addresses keep the filter."""

    total: int
    first: int
    last: int
    number: int
    pages: int
    #: The filter without a page.
    query: str
    previous_query: str
    next_query: str


def paged(
    rows: QuerySet[Any], *, number: int, asked: Mapping[str, str], size: int = PAGE_SIZE
) -> tuple[list[Any], Pager]:
    """One page of rows: two queries. A number past the end shows the last page."""
    total = rows.count()
    pager = pager_of(total, number=number, asked=asked, size=size)
    return list(rows[max(pager.first - 1, 0) : pager.last]), pager


def pager_of(total: int, *, number: int, asked: Mapping[str, str], size: int = PAGE_SIZE) -> Pager:
    """The same for rows that are already counted."""
    pages = max(1, -(-total // size))
    number = min(number, pages)
    return Pager(
        total=total,
        first=min((number - 1) * size + 1, total),
        last=min(number * size, total),
        number=number,
        pages=pages,
        query=query_of(asked),
        previous_query=query_of({**asked, "page": str(number - 1)}) if number > 1 else "",
        next_query=query_of({**asked, "page": str(number + 1)}) if number < pages else "",
    )
