"""Durable events for upper apps: rows in the transaction, the task after commit."""

from collections.abc import Mapping
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
    tenant_id = require_tenant_id()
    at = clock.now()
    event = OutboxEvent.objects.create(
        id=uuid4(), topic=topic, key=key, payload=dict(payload), created_at=at
    )
    names = subscribers_of(topic)
    if not names:
        return event
    position = _next_position()
    OutboxDelivery.objects.bulk_create(
        OutboxDelivery(event=event, subscriber=name, key=key, position=position, next_attempt_at=at)
        for name in names
    )
    due.schedule(DISPATCH, at=at, tenant_id=tenant_id)
    jobs.enqueue(DISPATCH, tenant_id=str(tenant_id))
    return event


def _next_position() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('events_outbox_position')")
        return int(cursor.fetchone()[0])
