"""Counting so far and no further: a list of 100,000 rows is searched, not leafed through."""

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator

#: Rows that can be leafed through; beyond them one searches or filters.
MOST = 5_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # generic only for checkers
    """Counts up to ``MOST`` rows. Costs the same for any table beyond that."""

    @cached_property
    def _seen(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: MOST + 1].count())

    @property
    def count(self) -> int:
        return min(self._seen, MOST)

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than are counted."""
        return self._seen > MOST
