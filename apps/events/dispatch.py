"""Dispatching outbox events to their subscribers."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import connection

from apps.core import clock
from apps.events import due
from apps.events.models import OutboxDelivery
from apps.events.outbox import DISPATCH
from apps.events.subscriptions import Event, handler_of
from apps.tenancy import acting_in
from apps.tenancy.locks import TenantLock, try_lock

log = structlog.get_logger(__name__)

BATCH = 200
LONGEST_BACKOFF = timedelta(minutes=5)

# The first due delivery that is the oldest open one of its (subscriber, key); later ones wait for it.
_NEXT = """
SELECT d.id FROM events_outboxdelivery d
WHERE d.done_at IS NULL AND d.next_attempt_at <= %s
  AND NOT EXISTS (
    SELECT 1 FROM events_outboxdelivery e
    WHERE e.done_at IS NULL AND e.subscriber = d.subscriber AND e.key = d.key
      AND e.position < d.position)
ORDER BY d.position LIMIT 1
"""


def dispatch_tenant(tenant_id: UUID) -> int:
    """Handle a tenant's open deliveries in order, one transaction each; returns their number.

    One dispatcher at a time works on a tenant (advisory lock); others return at once. A handler that
    raises is retried with backoff and blocks only its own key.
    """
    handled = 0
    while handled < BATCH:
        outcome = _dispatch_one(tenant_id, clock.now())
        if outcome is None:
            return handled
        handled += 1
    return handled


def _dispatch_one(tenant_id: UUID, at: datetime) -> UUID | None:
    failed: tuple[UUID, str] | None = None
    try:
        with acting_in(tenant_id):
            delivery = _take_next(tenant_id, at)
            if delivery is None:
                return None
            failed = (delivery.id, "interrupted")
            event = delivery.event
            handler_of(delivery.subscriber)(
                Event(event.id, tenant_id, event.topic, event.key, event.payload, event.created_at)
            )
            OutboxDelivery.objects.filter(pk=delivery.pk).update(done_at=clock.now())
            return delivery.id
    except Exception as error:  # a failing handler must not stop the others
        if failed is None:
            raise
        log.exception("outbox_handler_failed", delivery=str(failed[0]))
        _record_failure(tenant_id, failed[0], at, repr(error))
        return failed[0]


def _take_next(tenant_id: UUID, at: datetime) -> OutboxDelivery | None:
    if not try_lock(TenantLock.DISPATCH):
        return None
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [at])
        row = cursor.fetchone()
    if row is None:
        _reschedule(tenant_id)
        return None
    return OutboxDelivery.objects.select_related("event").get(pk=row[0])


def _reschedule(tenant_id: UUID) -> None:
    due.finish(DISPATCH, tenant_id=tenant_id)
    waiting = (
        OutboxDelivery.objects.filter(done_at__isnull=True)
        .order_by("next_attempt_at")
        .values_list("next_attempt_at", flat=True)
        .first()
    )
    if waiting is not None:
        due.schedule(DISPATCH, at=waiting, tenant_id=tenant_id)


def _record_failure(tenant_id: UUID, delivery_id: UUID, at: datetime, text: str) -> None:
    with acting_in(tenant_id):
        delivery = OutboxDelivery.objects.get(pk=delivery_id)
        delivery.attempts += 1
        delivery.last_error = text[:500]
        delivery.next_attempt_at = at + min(
            timedelta(seconds=2 ** min(delivery.attempts, 9)), LONGEST_BACKOFF
        )
        delivery.save(update_fields=["attempts", "last_error", "next_attempt_at"])
        due.schedule(DISPATCH, at=delivery.next_attempt_at, tenant_id=tenant_id)
