"""Sorting and cursor paging of the incident list: each page begins after the last row of the one before, so that an
incident that opens or closes meanwhile does not shift rows."""

import re
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _lazy

from apps.incidents.models import Incident
from apps.pages.ordering import Column, Ordering
from apps.pages.states import SEVERITIES

COLUMNS = (
    Column("number", _lazy("Number")),
    Column("severity", _lazy("Severity")),
    Column("sites", _lazy("Sites"), is_number=True),
    Column("devices", _lazy("Devices"), is_number=True),
    Column("subscribers", _lazy("Subscribers"), is_number=True),
)
NEWEST, WORST = Ordering("number", descends=True), Ordering("severity")
#: Sort options of the page.
SORT_OPTIONS = (
    (NEWEST, _lazy("Newest first")),
    (Ordering("number"), _lazy("Oldest first")),
    (WORST, _lazy("Worst severity first")),
    (Ordering("sites", descends=True), _lazy("Most sites first")),
    (Ordering("devices", descends=True), _lazy("Most devices first")),
    (Ordering("subscribers", descends=True), _lazy("Most subscribers first")),
)
#: Sort value of a count that is unknown.
UNCOUNTED = -1


@dataclass(frozen=True)
class Cursor:
    """The end of a page: the last row's value in the sort column, and its number."""

    value: int
    number: int

    def __str__(self) -> str:
        return f"{self.value}~{self.number}"


def parse_cursor(text: str) -> Cursor | None:
    """``?after=`` of a URL; None when it is invalid."""
    found = re.fullmatch(r"(-?[0-9]{1,9})~([0-9]{1,9})", text)
    return Cursor(int(found[1]), int(found[2])) if found else None


def sort_incidents(rows: QuerySet[Incident], order: Ordering) -> QuerySet[Incident]:
    """Sort by a column, then by number, newest first."""
    direction = "-sort_value" if order.descends else "sort_value"
    return rows.annotate(sort_value=_value(order.key)).order_by(direction, "-number")


def after(rows: QuerySet[Incident], order: Ordering, cursor: Cursor) -> QuerySet[Incident]:
    """The sorted rows after this cursor."""
    is_after = Q(sort_value__lt=cursor.value) if order.descends else Q(sort_value__gt=cursor.value)
    if order.key == "number":
        return rows.filter(is_after)  # numbers are unique
    return rows.filter(is_after | Q(sort_value=cursor.value, number__lt=cursor.number))


def cursor_of(row: Incident) -> Cursor:
    """The cursor of a sorted row."""
    return Cursor(row.sort_value, row.number)  # type: ignore[attr-defined]  # annotated by in_order


def _value(key: str) -> Any:
    if key == "severity":
        ranks = [When(severity=word, then=Value(state.rank)) for word, state in SEVERITIES.items()]
        return Case(*ranks, default=Value(9), output_field=IntegerField())
    if key == "subscribers":
        return Coalesce("subscribers_affected", Value(UNCOUNTED), output_field=IntegerField())
    return F({"number": "number", "sites": "sites_affected", "devices": "devices_affected"}[key])
