"""The queue of incidents in an order, page by page: each page begins after the last row of the one before, so that an
incident that opens or closes meanwhile shifts nothing."""

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
#: As the screen offers them.
OFFERED = (
    (NEWEST, _lazy("Newest first")),
    (Ordering("number"), _lazy("Oldest first")),
    (WORST, _lazy("Worst severity first")),
    (Ordering("sites", descends=True), _lazy("Most sites first")),
    (Ordering("devices", descends=True), _lazy("Most devices first")),
    (Ordering("subscribers", descends=True), _lazy("Most subscribers first")),
)
#: In a column of counts, what was never counted.
UNCOUNTED = -1


@dataclass(frozen=True)
class Place:
    """Where a page ended: the last row's value in the column, and its number."""

    value: int
    number: int

    def __str__(self) -> str:
        return f"{self.value}~{self.number}"


def asked_place(text: str) -> Place | None:
    """``?after=`` of an address; nothing when it is none."""
    found = re.fullmatch(r"(-?[0-9]{1,9})~([0-9]{1,9})", text)
    return Place(int(found[1]), int(found[2])) if found else None


def in_order(rows: QuerySet[Incident], order: Ordering) -> QuerySet[Incident]:
    """Ordered by a column, then the newest."""
    way = "-place" if order.descends else "place"
    return rows.annotate(place=_value(order.key)).order_by(way, "-number")


def after(rows: QuerySet[Incident], order: Ordering, place: Place) -> QuerySet[Incident]:
    """Of ordered rows those that come later than this place."""
    later = Q(place__lt=place.value) if order.descends else Q(place__gt=place.value)
    if order.key == "number":
        return rows.filter(later)  # nothing is beside it
    return rows.filter(later | Q(place=place.value, number__lt=place.number))


def place_of(row: Incident) -> Place:
    """The place of an ordered row."""
    return Place(row.place, row.number)  # type: ignore[attr-defined]  # annotated by in_order


def _value(key: str) -> Any:
    if key == "severity":
        ranks = [When(severity=word, then=Value(state.rank)) for word, state in SEVERITIES.items()]
        return Case(*ranks, default=Value(9), output_field=IntegerField())
    if key == "subscribers":
        return Coalesce("subscribers_affected", Value(UNCOUNTED), output_field=IntegerField())
    return F({"number": "number", "sites": "sites_affected", "devices": "devices_affected"}[key])
