"""Numbered pages of a list."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from apps.pages.params import query_string

PAGE_SIZE = 50


@dataclass(frozen=True)
class Pager:
    """One page of a list, with query strings of its neighbors that keep the filter."""

    total: int
    first: int
    last: int
    number: int
    pages: int
    #: The filter, without a page number.
    query: str
    previous_query: str
    next_query: str


def paginate(
    rows: QuerySet[Any], *, number: int, params: Mapping[str, str], size: int = PAGE_SIZE
) -> tuple[list[Any], Pager]:
    """One page of rows: two queries. A number past the end shows the last page."""
    total = rows.count()
    pager = pager_for(total, number=number, params=params, size=size)
    return list(rows[max(pager.first - 1, 0) : pager.last]), pager


def pager_for(
    total: int, *, number: int, params: Mapping[str, str], size: int = PAGE_SIZE
) -> Pager:
    """The pager of a list whose rows are counted already."""
    pages = max(1, -(-total // size))
    number = min(number, pages)
    return Pager(
        total=total,
        first=min((number - 1) * size + 1, total),
        last=min(number * size, total),
        number=number,
        pages=pages,
        query=query_string(params),
        previous_query=query_string({**params, "page": str(number - 1)}) if number > 1 else "",
        next_query=query_string({**params, "page": str(number + 1)}) if number < pages else "",
    )
