"""Values of sparklines for many series, and current rates of counters. Missing samples are gaps."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from apps.telemetry.store import SeriesKey

#: Time between the two samples of a rate.
MIN_INTERVAL, MAX_INTERVAL = timedelta(seconds=30), timedelta(minutes=10)

Sparkline = list[float | None]


def sparklines(
    *,
    metrics: Collection[str],
    entity_ids: Collection[UUID],
    start: datetime,
    end: datetime,
    slots: int = 48,
) -> dict[SeriesKey, Sparkline]:
    """The last sample in each of ``slots`` equal parts; None where a part has none. One query, whose cost grows with
    the slots and not with the number of samples."""
    width = (end - start) / slots
    ends = [start + width * (i + 1) for i in range(slots)]
    result: dict[SeriesKey, Sparkline] = {}
    params: list[Any] = [ends, width, list(entity_ids), list(metrics)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.entity_type, s.entity_id, s.metric, s.labels, m.slot, p.value"
            " FROM telemetry_series s CROSS JOIN unnest(%s::timestamptz[]) WITH ORDINALITY AS m (until, slot)"
            " CROSS JOIN LATERAL (SELECT value FROM telemetry_sample"
            "  WHERE tenant_id = s.tenant_id AND series_id = s.id AND ts > m.until - %s AND ts <= m.until"
            "  ORDER BY ts DESC LIMIT 1) p"
            " WHERE s.entity_id = ANY(%s) AND s.metric = ANY(%s)",
            params,
        )
        for entity_type, entity_id, metric, labels, slot, value in cursor.fetchall():
            key = SeriesKey(entity_type, entity_id, metric, labels)
            result.setdefault(key, [None] * slots)[slot - 1] = value
    return result


def current_rates(
    *, metrics: Collection[str], entity_ids: Collection[UUID], since: datetime
) -> dict[tuple[UUID, str], float]:
    """The rate per second of counters, from the newest sample after ``since`` and the one before. A counter that was
    reset has no rate. One query."""
    params: list[Any] = [MIN_INTERVAL, MAX_INTERVAL, list(entity_ids), list(metrics), since]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.entity_id, s.metric, l.value - p.value, l.ts - p.ts"
            " FROM telemetry_series s JOIN telemetry_latest l ON l.series_id = s.id"
            " CROSS JOIN LATERAL (SELECT ts, value FROM telemetry_sample"
            "  WHERE tenant_id = s.tenant_id AND series_id = s.id AND ts <= l.ts - %s AND ts >= l.ts - %s"
            "  ORDER BY ts DESC LIMIT 1) p"
            " WHERE s.entity_id = ANY(%s) AND s.metric = ANY(%s) AND s.labels = '' AND l.ts >= %s"
            " AND l.value >= p.value",
            params,
        )
        return {
            (entity_id, metric): increase / elapsed.total_seconds()
            for entity_id, metric, increase, elapsed in cursor.fetchall()
        }
