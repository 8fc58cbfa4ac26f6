"""Paginators with a bounded row count, so that a list of 100,000 rows costs the same as a short one."""

from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator

#: Rows that are counted and paged through; later ones are found by search or filter.
MAX_COUNTED_ROWS = 5_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # generic only for checkers
    """Counts up to ``MOST`` rows. Costs the same for any table beyond that."""

    @cached_property
    def _row_count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: MAX_COUNTED_ROWS + 1].count())

    @property
    def count(self) -> int:
        return min(self._row_count, MAX_COUNTED_ROWS)

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than are counted."""
        return self._row_count > MAX_COUNTED_ROWS


class SearchedPaginator(CappedPaginator):
    """For searches without an index: one scan reads the keys of at most ``MAX_COUNTED_ROWS`` rows; a page is then
    read by its keys.
    """

    @cached_property
    def _keys(self) -> list[Any]:
        rows: Any = self.object_list
        return list(rows.values_list("pk", flat=True)[: MAX_COUNTED_ROWS + 1])

    @cached_property
    def _row_count(self) -> int:
        return len(self._keys)

    def page(self, number: Any) -> Page[Any]:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        keys = self._keys[first : min(first + self.per_page, self.count)]
        rows: Any = self.object_list
        return Page(rows.filter(pk__in=keys), number, self)
