"""Reachability of devices by their latest sample. Without a recent sample a device is blind: not monitored, because
its agent or the path to it is down."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from apps.inventory.models import Device
from apps.telemetry.models import Latest

#: As in the shipped rules: an older sample says nothing about the current state.
BLIND_AFTER = timedelta(seconds=60)
UP = "device.up"


class Reachability(StrEnum):
    """Reachability of a device; one that was never polled is in no result: it is unknown."""

    UP = "up"
    DOWN = "down"
    BLIND = "blind"


def reachability_of_devices(
    at: datetime, device_ids: Collection[UUID] | None = None
) -> dict[UUID, Reachability]:
    """Every device that was ever polled, or those of the given ones. One query."""
    rows = _latest_values()
    if device_ids is not None:
        rows = rows.filter(series__entity_id__in=device_ids)
    blind_from = at - BLIND_AFTER
    return {
        device_id: Reachability.BLIND
        if ts < blind_from
        else Reachability.UP
        if value
        else Reachability.DOWN
        for device_id, ts, value in rows.values_list("series__entity_id", "ts", "value")
    }


def devices_by_reachability(
    at: datetime, state: Reachability | None = None
) -> QuerySet[Latest, UUID]:
    """The ids of devices in one state, or of all that were ever polled, for use in a subquery."""
    rows, blind_from = _latest_values(), at - BLIND_AFTER
    if state is Reachability.BLIND:
        rows = rows.filter(ts__lt=blind_from)
    elif state is not None:
        rows = rows.filter(ts__gte=blind_from)
        rows = rows.filter(value__gt=0) if state is Reachability.UP else rows.exclude(value__gt=0)
    return rows.values_list("series__entity_id", flat=True)


def reachability_by_site(devices: QuerySet[Device], at: datetime) -> dict[UUID, Counter[str]]:
    """Number of these devices in each state by site; ``unknown`` were never polled. One query that returns at most
    four rows per site."""
    try:
        sql, params = devices.order_by().values("pk", "site_id").query.sql_with_params()
    except EmptyResultSet:
        return {}
    result: dict[UUID, Counter[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.site_id, CASE WHEN l.ts IS NULL THEN 'unknown' WHEN l.ts < %s THEN 'blind'"  # noqa: S608  (the inner query is Django's)
            " WHEN l.value > 0 THEN 'up' ELSE 'down' END AS state, count(*)"
            f" FROM ({sql}) AS d (id, site_id)"
            " LEFT JOIN (telemetry_series s JOIN telemetry_latest l ON l.series_id = s.id)"
            " ON s.entity_id = d.id AND s.metric = 'device.up' AND s.entity_type = 'device' AND s.labels = ''"
            " GROUP BY 1, 2",
            [at - BLIND_AFTER, *params],
        )
        for site_id, state, number in cursor.fetchall():
            result.setdefault(site_id, Counter())[state] = number
    return result


def latest_value(device: Any, metric: str = UP) -> QuerySet[Latest]:
    """The newest value of a device, at most one row, for use in a subquery; ``device`` refers to the outer row."""
    return _latest_values(metric).filter(series__entity_id=device)


def _latest_values(metric: str = UP) -> QuerySet[Latest]:
    return Latest.objects.filter(
        series__metric=metric, series__entity_type="device", series__labels=""
    )
