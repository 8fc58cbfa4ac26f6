"""Writes of samples, texts and events; all other apps write them through this module.

Call it inside ``acting_in`` and inside the transaction that moves the stream's watermark, so that both are committed
together. There is one sample per (series, ts); the last write wins.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.db import IntegrityError, connection

from apps.telemetry.errors import PartitionMissing
from apps.telemetry.series import SeriesKey, series_ids
from apps.tenancy.context import require_tenant_id

__all__ = [
    "LATE_AFTER",
    "EventKey",
    "EventRow",
    "PartitionMissing",
    "Sample",
    "SeriesKey",
    "TextSample",
    "WriteResult",
    "write_batch",
]

# PostgreSQL's error code when no partition accepts a row.
CHECK_VIOLATION = "23514"

#: Data that was buffered on its agent for longer than this is late: it says nothing about the current state.
LATE_AFTER = timedelta(seconds=20)

#: A latest value that is further ahead of the arrival of another one came from a wrong clock: it hides nothing.
FUTURE = timedelta(seconds=1)

V = TypeVar("V")
EventKey = tuple[UUID, datetime]


@dataclass(frozen=True, slots=True)
class Sample:
    """A number at a point in time."""

    key: SeriesKey
    ts: datetime
    value: float


@dataclass(frozen=True, slots=True)
class TextSample:
    """A text at a point in time (a protocol state)."""

    key: SeriesKey
    ts: datetime
    text: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event of a resolved entity."""

    event_id: UUID
    ts: datetime
    event_type: str
    severity: str
    entity_type: str
    entity_id: UUID
    payload: dict[str, Any]
    raw: str = ""


@dataclass(frozen=True)
class WriteResult:
    """Number of rows that were inserted or updated, and the new events."""

    samples: int
    texts: int
    events: int
    new_events: frozenset[EventKey] = frozenset()


def write_batch(
    *,
    samples: Sequence[Sample] = (),
    texts: Sequence[TextSample] = (),
    events: Sequence[EventRow] = (),
    received_at: datetime,
    is_late: bool = False,
) -> WriteResult:
    """Store a batch. Raises PartitionMissing.

    ``is_late``: it was buffered on its agent, so even its newest sample says nothing about the current state.

    Locks rows in order of series, so that concurrent writers cannot deadlock.
    """
    series = series_ids({s.key for s in samples} | {t.key for t in texts})
    numbers = {(series[s.key], s.ts): s.value for s in samples}
    text_values = {(series[t.key], t.ts): t.text for t in texts}
    if numbers:
        _write_samples(numbers)
        _write_latest_numbers(numbers, received_at, is_late=is_late)
    if text_values:
        _write_texts(text_values, received_at, is_late=is_late)
    new_events = _write_events(events, received_at)
    return WriteResult(len(numbers), len(text_values), len(new_events), new_events)


def _write_samples(numbers: dict[tuple[int, datetime], float]) -> None:
    ordered = sorted(numbers)
    columns: list[list[Any]] = [
        [series_id for series_id, _ in ordered],
        [ts for _, ts in ordered],
        [numbers[key] for key in ordered],
    ]
    with connection.cursor() as cursor:
        try:
            cursor.execute(
                "INSERT INTO telemetry_sample (tenant_id, series_id, ts, value)"
                " SELECT %s, * FROM unnest(%s::bigint[], %s::timestamptz[], %s::float8[])"
                " ON CONFLICT (tenant_id, series_id, ts) DO UPDATE SET value = excluded.value",
                [require_tenant_id(), *columns],
            )
        except IntegrityError as error:
            if getattr(error.__cause__, "pgcode", None) != CHECK_VIOLATION:
                raise
            raise PartitionMissing(
                message="No partition for this day; check that the keeper is running."
            ) from error


def _newest(rows: dict[tuple[int, datetime], V]) -> dict[int, tuple[datetime, V]]:
    newest: dict[int, tuple[datetime, V]] = {}
    for series_id, ts in sorted(rows):
        newest[series_id] = (ts, rows[series_id, ts])
    return newest


def _write_latest_numbers(
    numbers: dict[tuple[int, datetime], float], received_at: datetime, *, is_late: bool
) -> None:
    newest = _newest(numbers)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_latest (tenant_id, is_late, series_id, ts, value)"
            " SELECT %s, %s, * FROM unnest(%s::bigint[], %s::timestamptz[], %s::float8[])"
            " ON CONFLICT (series_id) DO UPDATE SET ts = excluded.ts, value = excluded.value,"
            " is_late = excluded.is_late"
            " WHERE telemetry_latest.ts <= excluded.ts OR telemetry_latest.ts > %s",
            [
                require_tenant_id(),
                is_late,
                list(newest),
                [ts for ts, _ in newest.values()],
                [value for _, value in newest.values()],
                received_at + FUTURE,
            ],
        )


def _write_texts(
    values: dict[tuple[int, datetime], str], received_at: datetime, *, is_late: bool
) -> None:
    """Store changes only. A value older than the latest one is ignored: the newest one is the current state."""
    tenant_id = require_tenant_id()
    ids = sorted({series_id for series_id, _ in values})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT series_id, ts, text FROM telemetry_latest WHERE series_id = ANY(%s)"
            " ORDER BY series_id FOR UPDATE",
            [ids],
        )
        known = {series_id: (ts, text) for series_id, ts, text in cursor.fetchall()}
        changes: list[tuple[int, datetime, str]] = []
        for series_id, ts in sorted(values):
            text = values[series_id, ts]
            before = known.get(series_id)
            if before is not None and ts < before[0] <= received_at + FUTURE:
                continue
            if before is None or before[1] != text:
                changes.append((series_id, ts, text))
            known[series_id] = (ts, text)
        cursor.execute(
            "INSERT INTO telemetry_latest (tenant_id, is_late, series_id, ts, text)"
            " SELECT %s, %s, * FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[])"
            " ON CONFLICT (series_id) DO UPDATE SET ts = excluded.ts, text = excluded.text,"
            " is_late = excluded.is_late"
            " WHERE telemetry_latest.ts <= excluded.ts OR telemetry_latest.ts > %s",
            [
                tenant_id,
                is_late,
                ids,
                [known[i][0] for i in ids],
                [known[i][1] for i in ids],
                received_at + FUTURE,
            ],
        )
        cursor.execute(
            "INSERT INTO telemetry_textchange (id, tenant_id, series_id, ts, text)"
            " SELECT gen_random_uuid(), %s, * FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[])"
            " ON CONFLICT (tenant_id, series_id, ts) DO UPDATE SET text = excluded.text",
            [tenant_id, [c[0] for c in changes], [c[1] for c in changes], [c[2] for c in changes]],
        )


def _write_events(events: Iterable[EventRow], received_at: datetime) -> frozenset[EventKey]:
    rows = {(event.event_id, event.ts): event for event in events}
    if not rows:
        return frozenset()
    ordered = [rows[key] for key in sorted(rows)]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_event (id, tenant_id, event_id, ts, event_type, severity,"
            " entity_type, entity_id, payload, raw, received_at)"
            " SELECT gen_random_uuid(), %s, u.event_id, u.ts, u.event_type, u.severity, u.entity_type,"
            " u.entity_id, u.payload, u.raw, %s FROM unnest(%s::uuid[], %s::timestamptz[], %s::text[],"
            " %s::text[], %s::text[], %s::uuid[], %s::jsonb[], %s::text[])"
            " AS u(event_id, ts, event_type, severity, entity_type, entity_id, payload, raw)"
            " ON CONFLICT (tenant_id, event_id, ts) DO NOTHING RETURNING event_id, ts",
            [
                require_tenant_id(),
                received_at,
                [str(e.event_id) for e in ordered],
                [e.ts for e in ordered],
                [e.event_type for e in ordered],
                [e.severity for e in ordered],
                [e.entity_type for e in ordered],
                [str(e.entity_id) for e in ordered],
                [json.dumps(e.payload, ensure_ascii=False) for e in ordered],
                [e.raw for e in ordered],
            ],
        )
        return frozenset(cursor.fetchall())
