"""Sorting and cursor paging of the incident list: each page begins after the last row of the one before, so that an
incident that opens or closes meanwhile does not shift rows."""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _lazy

from apps.incidents.lists import INCIDENTS
from apps.incidents.models import Incident
from apps.pages.ordering import Ordering

NEWEST, WORST = Ordering("number", descends=True), Ordering("severity")
#: Orders by time: their cursors hold a time and an id.
DATES = frozenset({"started_at", "opened_at"})
#: Sort options of the page.
SORT_OPTIONS = (
    (NEWEST, _lazy("Newest first")),
    (Ordering("number"), _lazy("Oldest first")),
    (WORST, _lazy("Worst severity first")),
    (Ordering("sites", descends=True), _lazy("Most sites first")),
    (Ordering("devices", descends=True), _lazy("Most devices first")),
    (Ordering("subscribers", descends=True), _lazy("Most subscribers first")),
)


@dataclass(frozen=True)
class Cursor:
    """The end of a page: the last row's value in the sort column, and what orders rows that are alike in it."""

    value: int | datetime
    tie: int | UUID

    def __str__(self) -> str:
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        return f"{value}~{self.tie}"


def parse_cursor(text: str) -> Cursor | None:
    """``?after=`` of a URL; None when it is invalid."""
    value, _, tie = text.partition("~")
    try:
        if re.fullmatch(r"-?[0-9]{1,9}~[0-9]{1,9}", text):
            return Cursor(int(value), int(tie))
        at = datetime.fromisoformat(value)
        return Cursor(at, UUID(tie)) if at.tzinfo else None
    except ValueError:
        return None


def after(rows: QuerySet[Incident], by: Ordering, cursor: Cursor) -> QuerySet[Incident]:
    """The sorted rows after this cursor; all of them if it is of another order."""
    order = INCIDENTS.order(by.key)
    if isinstance(cursor.value, datetime) != (by.key in DATES):
        return rows
    later = "lt" if by.descends else "gt"
    is_after = Q(**{f"{order.column}__{later}": cursor.value})
    tie = order.fields(descends=by.descends)[1]
    if isinstance(cursor.tie, int) != (tie.removeprefix("-") == "number"):
        return rows.filter(is_after)  # numbers are unique
    follows = f"{tie.removeprefix('-')}__{'lt' if tie.startswith('-') else 'gt'}"
    return rows.filter(is_after | Q(**{order.column: cursor.value, follows: cursor.tie}))


def cursor_of(row: Incident, by: Ordering) -> Cursor:
    """The cursor of a sorted row."""
    order = INCIDENTS.order(by.key)
    tie = row.id if by.key in DATES else row.number
    return Cursor(getattr(row, order.column), tie)
