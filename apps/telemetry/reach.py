"""Whether devices answer, as last read. What was not read lately is blind, never well."""

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

#: As the shipped rules have it: a reading that is older says nothing of now.
BLIND_AFTER = timedelta(seconds=60)
UP = "device.up"


class Reach(StrEnum):
    """A device without a reading at all is not in any answer: it is unknown."""

    UP = "up"
    DOWN = "down"
    BLIND = "blind"


def reach_of_devices(at: datetime, device_ids: Collection[UUID] | None = None) -> dict[UUID, Reach]:
    """Every device that was ever read, or of those named. One query."""
    rows = _readings()
    if device_ids is not None:
        rows = rows.filter(series__entity_id__in=device_ids)
    blind_from = at - BLIND_AFTER
    return {
        device_id: Reach.BLIND if ts < blind_from else Reach.UP if value else Reach.DOWN
        for device_id, ts, value in rows.values_list("series__entity_id", "ts", "value")
    }


def devices_read(at: datetime, word: Reach | None = None) -> QuerySet[Latest, UUID]:
    """The ids of devices in one state, or of all that were ever read: for a query's own use."""
    rows, blind_from = _readings(), at - BLIND_AFTER
    if word is Reach.BLIND:
        rows = rows.filter(ts__lt=blind_from)
    elif word is not None:
        rows = rows.filter(ts__gte=blind_from)
        rows = rows.filter(value__gt=0) if word is Reach.UP else rows.exclude(value__gt=0)
    return rows.values_list("series__entity_id", flat=True)


def reach_by_site(devices: QuerySet[Device], at: datetime) -> dict[UUID, Counter[str]]:
    """How many of these devices are in each state, site by site; ``unknown`` is who was never read. One query, and
    rows as many as sites."""
    try:
        sql, params = devices.order_by().values("pk", "site_id").query.sql_with_params()
    except EmptyResultSet:
        return {}
    found: dict[UUID, Counter[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.site_id, CASE WHEN l.ts IS NULL THEN 'unknown' WHEN l.ts < %s THEN 'blind'"  # noqa: S608  (the inner query is Django's)
            " WHEN l.value > 0 THEN 'up' ELSE 'down' END AS word, count(*)"
            f" FROM ({sql}) AS d (id, site_id)"
            " LEFT JOIN (telemetry_series s JOIN telemetry_latest l ON l.series_id = s.id)"
            " ON s.entity_id = d.id AND s.metric = 'device.up' AND s.entity_type = 'device' AND s.labels = ''"
            " GROUP BY 1, 2",
            [at - BLIND_AFTER, *params],
        )
        for site_id, word, number in cursor.fetchall():
            found.setdefault(site_id, Counter())[word] = number
    return found


def last_reading(device: Any, metric: str = UP) -> QuerySet[Latest]:
    """The newest reading of a device, at most one: for a query's own use, ``device`` refers to its row."""
    return _readings(metric).filter(series__entity_id=device)


def _readings(metric: str = UP) -> QuerySet[Latest]:
    return Latest.objects.filter(
        series__metric=metric, series__entity_type="device", series__labels=""
    )
