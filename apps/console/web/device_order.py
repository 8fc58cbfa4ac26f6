"""Sort orders of the list of devices, by any of its columns."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import (
    Case,
    CharField,
    DurationField,
    ExpressionWrapper,
    F,
    FloatField,
    Func,
    IntegerField,
    JSONField,
    OuterRef,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _lazy

from apps.alerts.selectors import open_alert_counts
from apps.authorization.access import Access
from apps.console.web.states import REACHABILITY_STATES, UNKNOWN_REACHABILITY
from apps.inventory.device_entities import devices_of_entities
from apps.inventory.models import Device
from apps.pages.ordering import Column, Ordering
from apps.telemetry.reachability import BLIND_AFTER, Reachability, latest_value

COLUMNS = (
    Column("name", _lazy("Device")),
    Column("state", _lazy("State")),
    Column("site", _lazy("Site")),
    Column("role", _lazy("Role")),
    Column("address", _lazy("Address")),
    Column("version", _lazy("Version")),
    Column("uptime", _lazy("Uptime"), is_number=True),
    Column("read", _lazy("Last polled"), is_number=True),
    Column("alerts", _lazy("Alerts"), is_number=True),
)
UPTIME = "device.uptime_seconds"
_COLUMN_FIELDS = {
    "name": "name",
    "site": "site__name",
    "role": "role",
    "address": "management_address",
}


class _VersionNumbers(Func):
    """The leading numbers of a version, which sort as numbers do: 7.9 before 7.16."""

    template = r"string_to_array(substring(%(expressions)s from '^\d+(?:\.\d+)*'), '.')::numeric[]"
    output_field = CharField()


class _JsonInteger(Func):
    """The number under a row's key in a JSON document."""

    template = "(%(expressions)s)::integer"
    arg_joiner = " ->> "
    output_field = IntegerField()


def in_order(
    access: Access, rows: QuerySet[Device], order: Ordering, at: datetime
) -> QuerySet[Device]:
    """Ordered by a column, then by name; rows without a value are last, either way. Two queries for alerts."""
    if not order.key:
        return rows.order_by("name", "pk")
    key = F("sort_key")
    ordering = key.desc(nulls_last=True) if order.descends else key.asc(nulls_last=True)
    return rows.annotate(sort_key=_key(access, order.key, at)).order_by(ordering, "name", "pk")


def _key(access: Access, key: str, at: datetime) -> Any:
    if key == "state":
        return _state(at)
    if key == "uptime":
        uptime = Subquery(latest_value(OuterRef("pk"), UPTIME).values("value")[:1])
        is_up = When(Exact(_state(at), REACHABILITY_STATES[Reachability.UP].rank), then=uptime)
        return Case(is_up, output_field=FloatField())
    if key == "read":
        read = Subquery(latest_value(OuterRef("pk")).values("ts")[:1])
        return ExpressionWrapper(Value(at) - read, output_field=DurationField())
    if key == "alerts":
        counted = {str(pk): number for pk, number in _open_alerts(access).items()}
        found = _JsonInteger(Value(counted, JSONField()), Cast("pk", CharField()))
        return Coalesce(found, 0)
    return _VersionNumbers("version") if key == "version" else F(_COLUMN_FIELDS[key])


def _state(at: datetime) -> Any:
    """The rank of a state: the worst first."""
    rank = Case(
        When(ts__lt=at - BLIND_AFTER, then=REACHABILITY_STATES[Reachability.BLIND].rank),
        When(value__gt=0, then=REACHABILITY_STATES[Reachability.UP].rank),
        default=REACHABILITY_STATES[Reachability.DOWN].rank,
    )
    read = latest_value(OuterRef("pk")).annotate(rank=rank).values("rank")[:1]
    return Coalesce(Subquery(read), REACHABILITY_STATES[UNKNOWN_REACHABILITY].rank)


def _open_alerts(access: Access) -> Mapping[UUID, int]:
    """Open alerts of each device with its interfaces, services and probes."""
    counts = open_alert_counts(access)
    counted: Counter[UUID] = Counter()
    for part, device in devices_of_entities(list(counts)).items():
        counted[device] += counts[part]
    return counted
