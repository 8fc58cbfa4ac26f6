"""How a list is ordered: the columns that it can be ordered by, in the address and in its headings. No queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.functional import Promise

from apps.pages.params import query_of

SORT = "sort"


@dataclass(frozen=True)
class Column:
    """A column of a list, as its heading says it."""

    key: str
    label: str | Promise
    is_number: bool = False
    can_sort: bool = True


@dataclass(frozen=True)
class Order:
    """What a list is ordered by; without a key, as the list stands by itself."""

    key: str = ""
    descends: bool = False

    def __str__(self) -> str:
        """As the address says it: ``-name`` descends."""
        return f"-{self.key}" if self.descends else self.key


#: As a list stands by itself.
UNORDERED = Order()


@dataclass(frozen=True)
class Heading:
    """The heading of a column and the order that pressing it asks for."""

    column: Column
    #: What ``aria-sort`` says; empty when the list is not ordered by this column.
    aria: str
    #: Nothing when it cannot be ordered by.
    query: str | None


def asked_order(request: HttpRequest, columns: Sequence[Column]) -> Order:
    """``?sort=`` of the address; what no column is called is the list's own order."""
    text = request.GET.get(SORT, "")
    key = text.removeprefix("-")
    known = {column.key for column in columns if column.can_sort}
    return Order(key, text.startswith("-")) if key in known else UNORDERED


def headings(
    columns: Sequence[Column], order: Order, asked: Mapping[str, str]
) -> tuple[Heading, ...]:
    """The headings in one order; ``asked`` is the filter, which their addresses keep."""
    return tuple(_heading(column, order, asked) for column in columns)


def _heading(column: Column, order: Order, asked: Mapping[str, str]) -> Heading:
    if not column.can_sort:
        return Heading(column, "", None)
    is_it = column.key == order.key
    aria = ("descending" if order.descends else "ascending") if is_it else ""
    # Numbers are looked at for their largest.
    descends = not order.descends if is_it else column.is_number
    wanted = str(Order(column.key, descends))
    return Heading(column, aria, query_of({**asked, SORT: wanted}))
