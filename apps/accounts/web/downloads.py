"""Long lists on their way to a member, read in parts while they are sent."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import QuerySet

from apps.accounts.access import Access
from apps.accounts.middleware import PAGE_SECONDS
from apps.tenancy import acting_in

ROWS_AT_ONCE = 500
T = TypeVar("T")


def in_parts(
    access: Access, ids: Sequence[UUID], tell: Callable[[list[UUID]], Sequence[T]]
) -> Iterator[T]:
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
