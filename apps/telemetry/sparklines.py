"""Many series at a glance: a day in a few moments, and how fast counters grow now. What was not read is a gap."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from apps.telemetry.store import SeriesKey

#: A rate needs two readings so far apart at least, and this far at most.
NEAREST, FURTHEST = timedelta(seconds=30), timedelta(minutes=10)

Glance = list[float | None]


def glances(
    *,
    metrics: Collection[str],
    entity_ids: Collection[UUID],
    start: datetime,
    end: datetime,
    slots: int = 48,
) -> dict[SeriesKey, Glance]:
    """The last reading in each of so many equal slots; None where a slot had none. One query, whose cost grows with the
    slots and not with how often something is read."""
    width = (end - start) / slots
    ends = [start + width * (i + 1) for i in range(slots)]
    found: dict[SeriesKey, Glance] = {}
    asked: list[Any] = [ends, width, list(entity_ids), list(metrics)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.entity_type, s.entity_id, s.metric, s.labels, m.slot, p.value"
            " FROM telemetry_series s CROSS JOIN unnest(%s::timestamptz[]) WITH ORDINALITY AS m (until, slot)"
            " CROSS JOIN LATERAL (SELECT value FROM telemetry_sample"
            "  WHERE tenant_id = s.tenant_id AND series_id = s.id AND ts > m.until - %s AND ts <= m.until"
            "  ORDER BY ts DESC LIMIT 1) p"
            " WHERE s.entity_id = ANY(%s) AND s.metric = ANY(%s)",
            asked,
        )
        for entity_type, entity_id, metric, labels, slot, value in cursor.fetchall():
            key = SeriesKey(entity_type, entity_id, metric, labels)
            found.setdefault(key, [None] * slots)[slot - 1] = value
    return found


def rates_now(
    *, metrics: Collection[str], entity_ids: Collection[UUID], since: datetime
) -> dict[tuple[UUID, str], float]:
    """What counters grow by per second, by their newest reading after ``since`` and the one before it. A counter that
    went back says nothing. One query."""
    asked: list[Any] = [NEAREST, FURTHEST, list(entity_ids), list(metrics), since]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.entity_id, s.metric, l.value - p.value, l.ts - p.ts"
            " FROM telemetry_series s JOIN telemetry_latest l ON l.series_id = s.id"
            " CROSS JOIN LATERAL (SELECT ts, value FROM telemetry_sample"
            "  WHERE tenant_id = s.tenant_id AND series_id = s.id AND ts <= l.ts - %s AND ts >= l.ts - %s"
            "  ORDER BY ts DESC LIMIT 1) p"
            " WHERE s.entity_id = ANY(%s) AND s.metric = ANY(%s) AND s.labels = '' AND l.ts >= %s"
            " AND l.value >= p.value",
            asked,
        )
        return {
            (entity_id, metric): grown / lapsed.total_seconds()
            for entity_id, metric, grown, lapsed in cursor.fetchall()
        }
