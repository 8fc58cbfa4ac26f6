"""Sorting of lists: the ``sort`` parameter and the column headings. No queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.functional import Promise

from apps.pages.params import query_string

SORT = "sort"


@dataclass(frozen=True)
class Column:
    """A column of a list."""

    key: str
    label: str | Promise
    is_number: bool = False
    can_sort: bool = True


@dataclass(frozen=True)
class Ordering:
    """The sort column and direction; an empty key is the list's default order."""

    key: str = ""
    descends: bool = False

    def __str__(self) -> str:
        """As in the ``sort`` parameter: ``-name`` descends."""
        return f"-{self.key}" if self.descends else self.key


DEFAULT_ORDERING = Ordering()


@dataclass(frozen=True)
class Heading:
    """The heading of a column, with the query string that sorts by it."""

    column: Column
    #: Value of ``aria-sort``; empty when the list is not sorted by this column.
    aria: str
    #: None when the list cannot be sorted by it.
    query: str | None


def ordering_param(request: HttpRequest, columns: Sequence[Column]) -> Ordering:
    """``?sort=``; an unknown column gives the default order."""
    text = request.GET.get(SORT, "")
    key = text.removeprefix("-")
    known = {column.key for column in columns if column.can_sort}
    return Ordering(key, text.startswith("-")) if key in known else DEFAULT_ORDERING


def headings(
    columns: Sequence[Column], order: Ordering, params: Mapping[str, str]
) -> tuple[Heading, ...]:
    """The headings of the columns; ``params`` is the filter, which their links keep."""
    return tuple(_heading(column, order, params) for column in columns)


def _heading(column: Column, order: Ordering, params: Mapping[str, str]) -> Heading:
    if not column.can_sort:
        return Heading(column, "", None)
    is_it = column.key == order.key
    aria = ("descending" if order.descends else "ascending") if is_it else ""
    # Numbers are sorted largest first.
    descends = not order.descends if is_it else column.is_number
    wanted = str(Ordering(column.key, descends))
    return Heading(column, aria, query_string({**params, SORT: wanted}))
