"""Queries of samples, latest values and events; all other apps read them through this module. Gaps stay gaps."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F

from apps.telemetry.models import Event, Latest
from apps.telemetry.store import LATE_AFTER, SeriesKey

Points = list[tuple[datetime, float]]
TextPoints = list[tuple[datetime, str]]


@dataclass(frozen=True)
class LatestValue:
    """The newest sample of a series."""

    ts: datetime
    value: float | None
    text: str | None
    #: It was buffered on its agent before it arrived, so it says nothing about the current state.
    is_late: bool = False


@dataclass(frozen=True)
class Bucket:
    """One point of a chart; ``average`` is None where there is no data."""

    start: datetime
    average: float | None
    minimum: float | None
    maximum: float | None
    count: int


def latest(
    *, metrics: Collection[str], entity_ids: Collection[UUID] | None = None
) -> dict[SeriesKey, LatestValue]:
    """The newest values of these metrics, of all entities or of the given ones. One query."""
    rows = Latest.objects.filter(series__metric__in=metrics)
    if entity_ids is not None:
        rows = rows.filter(series__entity_id__in=entity_ids)
    return {
        SeriesKey(entity_type, entity_id, metric, labels): LatestValue(ts, value, text, is_late)
        for entity_type, entity_id, metric, labels, ts, value, text, is_late in rows.values_list(
            "series__entity_type",
            "series__entity_id",
            "series__metric",
            "series__labels",
            "ts",
            "value",
            "text",
            "is_late",
        )
    }


def windows(
    *, metrics: Collection[str], since: datetime, until: datetime
) -> dict[SeriesKey, Points]:
    """Every sample of these metrics with ``since`` < ts <= ``until``, oldest first. One query."""
    result: dict[SeriesKey, Points] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.entity_type, s.entity_id, s.metric, s.labels, p.ts, p.value"
            " FROM telemetry_series s JOIN telemetry_sample p ON p.series_id = s.id"
            " WHERE s.metric = ANY(%s) AND p.ts > %s AND p.ts <= %s ORDER BY p.ts",
            [list(metrics), since, until],
        )
        for entity_type, entity_id, metric, labels, ts, value in cursor.fetchall():
            key = SeriesKey(entity_type, entity_id, metric, labels)
            result.setdefault(key, []).append((ts, value))
    return result


def points_of(
    *, metric: str, entity_id: UUID, since: datetime, until: datetime, limit: int
) -> Points:
    """The first ``limit`` samples of one entity's metric with ``since`` <= ts < ``until``, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.ts, p.value FROM telemetry_series s"
            " JOIN telemetry_sample p ON p.series_id = s.id"
            " WHERE s.metric = %s AND s.entity_id = %s AND s.labels = ''"
            " AND p.ts >= %s AND p.ts < %s ORDER BY p.ts LIMIT %s",
            [metric, entity_id, since, until, limit],
        )
        return list(cursor.fetchall())


def text_windows(
    *, metrics: Collection[str], since: datetime, until: datetime
) -> dict[SeriesKey, TextPoints]:
    """The values of these text metrics: the one at ``since``, each change after it, and the newest sample.

    The last pair has the time of the newest sample even when nothing changed, so that a steady state can be told
    from one that is no longer reported. One query.
    """
    result: dict[SeriesKey, TextPoints] = {}
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
            points = result.setdefault(SeriesKey(entity_type, entity_id, metric, labels), [])
            if not points or points[-1] != (ts, text):
                points.append((ts, text))
    return result


def buckets(
    *, key: SeriesKey, start: datetime, end: datetime, max_points: int = 300
) -> list[Bucket]:
    """A series in at most ``max_points`` equal buckets; an empty one is a gap, not a zero."""
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


@dataclass(frozen=True)
class BucketedRange:
    """A time range divided into at most ``points`` equal buckets."""

    start: datetime
    end: datetime
    points: int = 60

    @property
    def width(self) -> timedelta:
        """The width of one bucket."""
        return max((self.end - self.start) / self.points, timedelta(seconds=1))

    @property
    def number(self) -> int:
        """Number of buckets."""
        return -(-(self.end - self.start) // self.width)


def buckets_of(
    *, metrics: Collection[str], entity_ids: Collection[UUID], time_range: BucketedRange
) -> dict[SeriesKey, list[Bucket]]:
    """Many series in buckets; series without samples are absent. One query."""
    aggregates = "avg(p.value), min(p.value), max(p.value), count(*)"
    result: dict[SeriesKey, list[Bucket]] = {}
    for key, index, numbers in _bucket_rows(aggregates, metrics, entity_ids, time_range):
        if key not in result:
            starts = [time_range.start + time_range.width * i for i in range(time_range.number)]
            result[key] = [Bucket(start, None, None, None, 0) for start in starts]
        result[key][index] = Bucket(result[key][index].start, *numbers)
    return result


def rates_of(
    *, metrics: Collection[str], entity_ids: Collection[UUID], time_range: BucketedRange
) -> dict[SeriesKey, list[float | None]]:
    """Rates of counters per second, from bucket to bucket. A counter reset, and a bucket without a sample in it or in
    the one before, are gaps. One query."""
    aggregates = "max(p.ts), (array_agg(p.value ORDER BY p.ts DESC))[1]"
    last_samples: dict[SeriesKey, dict[int, tuple[datetime, float]]] = {}
    for key, index, (ts, value) in _bucket_rows(aggregates, metrics, entity_ids, time_range):
        last_samples.setdefault(key, {})[index] = (ts, value)
    return {
        key: [_rate(points.get(i - 1), points.get(i)) for i in range(time_range.number)]
        for key, points in last_samples.items()
    }


def _rate(
    before: tuple[datetime, float] | None, now: tuple[datetime, float] | None
) -> float | None:
    if before is None or now is None or now[1] < before[1] or now[0] <= before[0]:
        return None
    return (now[1] - before[1]) / (now[0] - before[0]).total_seconds()


def _bucket_rows(
    aggregates: str,
    metrics: Collection[str],
    entity_ids: Collection[UUID],
    time_range: BucketedRange,
) -> Iterator[tuple[SeriesKey, int, tuple[Any, ...]]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.entity_type, s.entity_id, s.metric, s.labels,"  # noqa: S608  (no user input in it)
            f" floor(extract(epoch FROM p.ts - %s) / %s)::int AS bucket, {aggregates}"
            " FROM telemetry_series s JOIN telemetry_sample p ON p.series_id = s.id"
            " WHERE s.entity_id = ANY(%s) AND s.metric = ANY(%s) AND p.ts >= %s AND p.ts < %s"
            " GROUP BY 1, 2, 3, 4, 5",
            [
                time_range.start,
                time_range.width.total_seconds(),
                list(entity_ids),
                list(metrics),
                time_range.start,
                time_range.end,
            ],
        )
        for entity_type, entity_id, metric, labels, index, *numbers in cursor.fetchall():
            yield SeriesKey(entity_type, entity_id, metric, labels), index, tuple(numbers)


def last_values_at_least(
    *, metric: str, before: datetime, minimum: float = 1.0
) -> dict[UUID, float]:
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


@dataclass(frozen=True)
class StateChange:
    """One reported state change of an entity."""

    entity_type: str
    entity_id: UUID
    ts: datetime


def state_changes(
    *, event_types: Collection[str], since: datetime, until: datetime
) -> dict[str, list[StateChange]]:
    """State changes in a time range by event type, oldest first. Events that were buffered on their agent are left
    out: they are about the past. One query."""
    rows = Event.objects.filter(
        event_type__in=event_types,
        ts__gt=since,
        ts__lte=until,
        received_at__lte=F("ts") + LATE_AFTER,
    ).order_by("ts", "event_id")
    result: dict[str, list[StateChange]] = {}
    for event_type, entity_type, entity_id, ts in rows.values_list(
        "event_type", "entity_type", "entity_id", "ts"
    ):
        result.setdefault(event_type, []).append(StateChange(entity_type, entity_id, ts))
    return result


def events_of_type(*, event_type: str, since: datetime, until: datetime) -> list[Event]:
    """Every event of a type in a time range, oldest first."""
    rows = Event.objects.filter(event_type=event_type, ts__gt=since, ts__lte=until)
    return list(rows.order_by("ts", "event_id"))


def events_of(
    *,
    entity_ids: Collection[UUID],
    since: datetime,
    until: datetime,
    event_type: str | None = None,
    limit: int = 500,
) -> list[Event]:
    """Events of these entities in a time range, of one type or of all, newest first."""
    rows = Event.objects.filter(entity_id__in=entity_ids, ts__gte=since, ts__lte=until)
    if event_type is not None:
        rows = rows.filter(event_type=event_type)
    return list(rows.order_by("-ts", "-event_id")[:limit])
