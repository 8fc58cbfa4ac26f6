"""The one door through which samples, texts and events enter.

Call it inside ``acting_in`` and inside the transaction that moves the stream's mark: all of it commits or none.
A sample is one per (series, ts), the last write wins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import orjson
from django.db import connection, transaction

from apps.telemetry.models import Event
from apps.tenancy.context import require_tenant_id

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """One metric of one entity, by the server's own entity id."""

    entity_type: str
    entity_id: UUID
    metric: str
    labels: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """A number at a moment."""

    key: SeriesKey
    ts: datetime
    value: float


@dataclass(frozen=True, slots=True)
class TextSample:
    """A word at a moment (a protocol state)."""

    key: SeriesKey
    ts: datetime
    text: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event, resolved to the server's entity."""

    event_id: UUID
    ts: datetime
    event_type: str
    severity: str
    entity_type: str
    entity_id: UUID
    payload: dict[str, Any]
    raw: str = ""


@dataclass(frozen=True)
class Written:
    """How many rows are new or renewed."""

    samples: int
    texts: int
    events: int


# (tenant, key) -> series id, per process. Only committed ids enter, so a rollback cannot leave a wrong one.
_known: dict[tuple[UUID, SeriesKey], int] = {}
_KNOWN_MAX = 1_000_000


def write_batch(
    *,
    samples: Sequence[Sample] = (),
    texts: Sequence[TextSample] = (),
    events: Sequence[EventRow] = (),
    received_at: datetime,
) -> Written:
    """Store a batch. Locks series rows in order of id, so that two writers cannot deadlock."""
    series = _resolve({s.key for s in samples} | {t.key for t in texts})
    numbers = {(series[s.key], s.ts): s.value for s in samples}
    words = {(series[t.key], t.ts): t.text for t in texts}
    if numbers:
        _write_samples(numbers)
        _write_latest_numbers(numbers)
    if words:
        _write_texts(words)
    return Written(len(numbers), len(words), _write_events(events, received_at))


def _resolve(keys: set[SeriesKey]) -> dict[SeriesKey, int]:
    tenant_id = require_tenant_id()
    found = {key: _known[tenant_id, key] for key in keys if (tenant_id, key) in _known}
    missing = sorted(
        keys - found.keys(), key=lambda k: (k.metric, k.entity_type, k.entity_id, k.labels)
    )
    if not missing:
        return found
    columns = [
        [key.metric for key in missing],
        [key.entity_type for key in missing],
        [str(key.entity_id) for key in missing],
        [key.labels for key in missing],
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_series (tenant_id, metric, entity_type, entity_id, labels)"
            " SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::uuid[], %s::text[])"
            " ON CONFLICT DO NOTHING",
            [tenant_id, *columns],
        )
        cursor.execute(
            "SELECT s.metric, s.entity_type, s.entity_id, s.labels, s.id FROM telemetry_series s"
            " JOIN unnest(%s::text[], %s::text[], %s::uuid[], %s::text[])"
            " AS k(metric, entity_type, entity_id, labels) USING (metric, entity_type, entity_id, labels)",
            columns,
        )
        for metric, entity_type, entity_id, labels, series_id in cursor.fetchall():
            found[SeriesKey(entity_type, entity_id, metric, labels)] = series_id
    transaction.on_commit(lambda: _remember(tenant_id, {key: found[key] for key in missing}))
    return found


def _remember(tenant_id: UUID, found: dict[SeriesKey, int]) -> None:
    if len(_known) > _KNOWN_MAX:
        _known.clear()
    _known.update({(tenant_id, key): series_id for key, series_id in found.items()})


def _write_samples(numbers: dict[tuple[int, datetime], float]) -> None:
    ordered = sorted(numbers)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_sample (tenant_id, series_id, ts, value)"
            " SELECT %s, * FROM unnest(%s::bigint[], %s::timestamptz[], %s::float8[])"
            " ON CONFLICT (tenant_id, series_id, ts) DO UPDATE SET value = excluded.value",
            [
                require_tenant_id(),
                [series_id for series_id, _ in ordered],
                [ts for _, ts in ordered],
                [numbers[key] for key in ordered],
            ],
        )


def _newest(rows: dict[tuple[int, datetime], V]) -> dict[int, tuple[datetime, V]]:
    newest: dict[int, tuple[datetime, V]] = {}
    for series_id, ts in sorted(rows):
        newest[series_id] = (ts, rows[series_id, ts])
    return newest


def _write_latest_numbers(numbers: dict[tuple[int, datetime], float]) -> None:
    newest = _newest(numbers)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_latest (tenant_id, series_id, ts, value)"
            " SELECT %s, * FROM unnest(%s::bigint[], %s::timestamptz[], %s::float8[])"
            " ON CONFLICT (series_id) DO UPDATE SET ts = excluded.ts, value = excluded.value"
            " WHERE telemetry_latest.ts <= excluded.ts",
            [
                require_tenant_id(),
                list(newest),
                [ts for ts, _ in newest.values()],
                [value for _, value in newest.values()],
            ],
        )


def _write_texts(words: dict[tuple[int, datetime], str]) -> None:
    """Keep changes only. A late word (older than what is known) changes nothing: state is what came last."""
    tenant_id = require_tenant_id()
    ids = sorted({series_id for series_id, _ in words})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT series_id, ts, text FROM telemetry_latest WHERE series_id = ANY(%s)"
            " ORDER BY series_id FOR UPDATE",
            [ids],
        )
        known = {series_id: (ts, text) for series_id, ts, text in cursor.fetchall()}
        changes: list[tuple[int, datetime, str]] = []
        for series_id, ts in sorted(words):
            text = words[series_id, ts]
            before = known.get(series_id)
            if before is not None and ts < before[0]:
                continue
            if before is None or before[1] != text:
                changes.append((series_id, ts, text))
            known[series_id] = (ts, text)
        cursor.execute(
            "INSERT INTO telemetry_latest (tenant_id, series_id, ts, text)"
            " SELECT %s, * FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[])"
            " ON CONFLICT (series_id) DO UPDATE SET ts = excluded.ts, text = excluded.text"
            " WHERE telemetry_latest.ts <= excluded.ts",
            [tenant_id, ids, [known[i][0] for i in ids], [known[i][1] for i in ids]],
        )
        cursor.execute(
            "INSERT INTO telemetry_textchange (id, tenant_id, series_id, ts, text)"
            " SELECT gen_random_uuid(), %s, * FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[])"
            " ON CONFLICT (tenant_id, series_id, ts) DO UPDATE SET text = excluded.text",
            [tenant_id, [c[0] for c in changes], [c[1] for c in changes], [c[2] for c in changes]],
        )


def _write_events(events: Iterable[EventRow], received_at: datetime) -> int:
    rows = {(event.event_id, event.ts): event for event in events}
    if not rows:
        return 0
    ordered = [rows[key] for key in sorted(rows)]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_event (id, tenant_id, event_id, ts, event_type, severity,"
            " entity_type, entity_id, payload, raw, received_at)"
            " SELECT u.id, %s, u.event_id, u.ts, u.event_type, u.severity, u.entity_type, u.entity_id,"
            " u.payload, u.raw, %s FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::text[],"
            " %s::text[], %s::text[], %s::uuid[], %s::jsonb[], %s::text[])"
            " AS u(id, event_id, ts, event_type, severity, entity_type, entity_id, payload, raw)"
            " ON CONFLICT (tenant_id, event_id, ts) DO NOTHING",
            [
                require_tenant_id(),
                received_at,
                [str(uuid4()) for _ in ordered],
                [str(e.event_id) for e in ordered],
                [e.ts for e in ordered],
                [e.event_type for e in ordered],
                [e.severity for e in ordered],
                [e.entity_type for e in ordered],
                [str(e.entity_id) for e in ordered],
                [orjson.dumps(e.payload).decode() for e in ordered],
                [e.raw for e in ordered],
            ],
        )
        return int(cursor.rowcount)


def stored_events(keys: Iterable[tuple[UUID, datetime]]) -> set[tuple[UUID, datetime]]:
    """Which of these (event id, ts) are stored already."""
    wanted = set(keys)
    if not wanted:
        return set()
    rows = Event.objects.filter(event_id__in={k[0] for k in wanted}).values_list("event_id", "ts")
    return wanted & set(rows)
