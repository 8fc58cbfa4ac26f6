"""Durable events for upper apps: rows in the transaction, the task after commit."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

from django.db import connection

from apps.core import clock
from apps.events import due, jobs
from apps.events.models import OutboxDelivery, OutboxEvent
from apps.events.subscriptions import subscribers_of
from apps.tenancy.context import require_tenant_id

DISPATCH = "events.dispatch"


def emit(*, topic: str, key: str, payload: Mapping[str, Any]) -> OutboxEvent:
    """Record an event in the caller's transaction and send the dispatcher's task after its commit.

    A rollback discards the event.
    """
    return emit_many(topic=topic, events=[(key, payload)])[0]


def emit_many(*, topic: str, events: Iterable[tuple[str, Mapping[str, Any]]]) -> list[OutboxEvent]:
    """Record events (key, payload) of one topic, in this order, and send one task for all of them.

    The number of statements does not grow with the number of events.
    """
    tenant_id = require_tenant_id()
    at = clock.now()
    rows = OutboxEvent.objects.bulk_create(
        OutboxEvent(id=uuid4(), topic=topic, key=key, payload=dict(payload), created_at=at)
        for key, payload in events
    )
    names = subscribers_of(topic)
    if not names or not rows:
        return rows
    OutboxDelivery.objects.bulk_create(
        OutboxDelivery(
            event=row, subscriber=name, key=row.key, position=position, next_attempt_at=at
        )
        for row, position in zip(rows, _next_positions(len(rows)), strict=True)
        for name in names
    )
    due.schedule(DISPATCH, at=at, tenant_id=tenant_id)
    jobs.enqueue(DISPATCH, tenant_id=str(tenant_id))
    return rows


def _next_positions(count: int) -> list[int]:
    """Ascending, and greater than every position that a committed event has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval('events_outbox_position') FROM generate_series(1, %s)", [count]
        )
        return sorted(int(position) for (position,) in cursor.fetchall())
