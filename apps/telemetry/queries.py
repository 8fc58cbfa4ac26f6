"""The one door through which samples are read. Gaps stay gaps."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from apps.telemetry.models import Event, Latest
from apps.telemetry.store import SeriesKey

Points = list[tuple[datetime, float]]
Words = list[tuple[datetime, str]]


@dataclass(frozen=True)
class LatestValue:
    """The newest reading of a series."""

    ts: datetime
    value: float | None
    text: str | None


@dataclass(frozen=True)
class Bucket:
    """One drawn point of a range; ``average`` is None where there was no data."""

    start: datetime
    average: float | None
    minimum: float | None
    maximum: float | None
    count: int


def latest(
    *, metrics: Collection[str], entity_ids: Collection[UUID] | None = None
) -> dict[SeriesKey, LatestValue]:
    """The newest value of these metrics, of all entities or of those named. One query."""
    rows = Latest.objects.filter(series__metric__in=metrics)
    if entity_ids is not None:
        rows = rows.filter(series__entity_id__in=entity_ids)
    return {
        SeriesKey(entity_type, entity_id, metric, labels): LatestValue(ts, value, text)
        for entity_type, entity_id, metric, labels, ts, value, text in rows.values_list(
            "series__entity_type",
            "series__entity_id",
            "series__metric",
            "series__labels",
            "ts",
            "value",
            "text",
        )
    }


def windows(
    *, metrics: Collection[str], since: datetime, until: datetime
) -> dict[SeriesKey, Points]:
    """Every sample of these metrics with ``since`` < ts <= ``until``, oldest first. One query."""
    found: dict[SeriesKey, Points] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.entity_type, s.entity_id, s.metric, s.labels, p.ts, p.value"
            " FROM telemetry_series s JOIN telemetry_sample p ON p.series_id = s.id"
            " WHERE s.metric = ANY(%s) AND p.ts > %s AND p.ts <= %s ORDER BY p.ts",
            [list(metrics), since, until],
        )
        for entity_type, entity_id, metric, labels, ts, value in cursor.fetchall():
            key = SeriesKey(entity_type, entity_id, metric, labels)
            found.setdefault(key, []).append((ts, value))
    return found


def text_windows(
    *, metrics: Collection[str], since: datetime, until: datetime
) -> dict[SeriesKey, Words]:
    """The words of these text metrics: what stood at ``since``, each change after it, and the newest reading.

    The last pair carries the time of the newest reading even when nothing changed, so that a reader can tell a
    steady state from one that is no longer seen. One query.
    """
    found: dict[SeriesKey, Words] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.entity_type, s.entity_id, s.metric, s.labels, w.ts, w.text"
            " FROM telemetry_series s CROSS JOIN LATERAL ("
            "  (SELECT c.ts, c.text FROM telemetry_textchange c"
            "   WHERE c.series_id = s.id AND c.ts <= %(since)s ORDER BY c.ts DESC LIMIT 1)"
            "  UNION ALL SELECT c.ts, c.text FROM telemetry_textchange c"
            "   WHERE c.series_id = s.id AND c.ts > %(since)s AND c.ts <= %(until)s"
            "  UNION ALL SELECT l.ts, l.text FROM telemetry_latest l"
            "   WHERE l.series_id = s.id AND l.text IS NOT NULL AND l.ts <= %(until)s"
            " ) w WHERE s.metric = ANY(%(metrics)s) ORDER BY w.ts",
            {"metrics": list(metrics), "since": since, "until": until},
        )
        for entity_type, entity_id, metric, labels, ts, text in cursor.fetchall():
            words = found.setdefault(SeriesKey(entity_type, entity_id, metric, labels), [])
            if not words or words[-1] != (ts, text):
                words.append((ts, text))
    return found


def buckets(
    *, key: SeriesKey, start: datetime, end: datetime, max_points: int = 300
) -> list[Bucket]:
    """A series drawn in at most ``max_points`` equal buckets; an empty one is a gap, not a zero."""
    width = max((end - start) / max_points, timedelta(seconds=1))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT floor(extract(epoch FROM p.ts - %s) / %s)::int AS bucket,"
            " avg(p.value), min(p.value), max(p.value), count(*)"
            " FROM telemetry_series s JOIN telemetry_sample p ON p.series_id = s.id"
            " WHERE s.entity_type = %s AND s.entity_id = %s AND s.metric = %s AND s.labels = %s"
            " AND p.ts >= %s AND p.ts < %s GROUP BY 1",
            [
                start,
                width.total_seconds(),
                key.entity_type,
                key.entity_id,
                key.metric,
                key.labels,
                start,
                end,
            ],
        )
        filled: Mapping[int, tuple[float, float, float, int]] = {
            row[0]: row[1:] for row in cursor.fetchall()
        }
    number = -(-(end - start) // width)
    return [Bucket(start + width * i, *filled.get(i, (None, None, None, 0))) for i in range(number)]


def last_good_levels(*, metric: str, before: datetime, minimum: float = 1.0) -> dict[UUID, float]:
    """Per entity, the last value of a metric at or above ``minimum`` before a moment (within a day). One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (s.entity_id) s.entity_id, p.value"
            " FROM telemetry_series s JOIN telemetry_sample p ON p.series_id = s.id"
            " WHERE s.metric = %s AND s.labels = '' AND p.ts <= %s AND p.ts > %s AND p.value >= %s"
            " ORDER BY s.entity_id, p.ts DESC",
            [metric, before, before - timedelta(days=1), minimum],
        )
        return dict(cursor.fetchall())


def events_of(
    *, entity_ids: Collection[UUID], since: datetime, until: datetime, limit: int = 500
) -> list[Event]:
    """Events of these entities in a span, newest first."""
    return list(
        Event.objects.filter(entity_id__in=entity_ids, ts__gte=since, ts__lte=until).order_by(
            "-ts"
        )[:limit]
    )
