"""Sending again what was given up, or what the receiver lost."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.webhooks.choices import DeliveryState
from apps.webhooks.errors import EndpointDeleted, EndpointPaused
from apps.webhooks.models import Delivery
from apps.webhooks.services.rearming import ring

_SETTLED = (DeliveryState.DEAD, DeliveryState.DELIVERED)


def resend_delivery(*, delivery: Delivery, actor: Actor, at: datetime) -> bool:
    """Send the same bytes under the same event id, with a fresh schedule; False if it is already on its way.

    Idempotent: a double click is one job. Raises EndpointDeleted, EndpointPaused.
    """
    endpoint = delivery.endpoint
    if endpoint.deleted_at is not None:
        raise EndpointDeleted
    if endpoint.is_paused:
        raise EndpointPaused
    with transaction.atomic():
        moved = Delivery.objects.filter(pk=delivery.pk, state__in=_SETTLED).update(
            state=DeliveryState.PENDING,
            next_attempt_at=at,
            failure_count=0,
            dead_at=None,
            dead_reason="",
        )
        if not moved:
            return False
        ring(endpoint_id=endpoint.id, at=at)
        record(
            action="webhook_delivery.resent",
            actor=actor,
            entity=("webhook_delivery", delivery.id),
            at=at,
            detail={"event_id": str(delivery.event_id), "endpoint": endpoint.name},
        )
    return True


def resend_deliveries(
    *, deliveries: Iterable[Delivery], actor: Actor, at: datetime
) -> tuple[int, int]:
    """Resend many; returns how many were, and how many could not be (paused, deleted, on their way)."""
    sent = passed_over = 0
    for delivery in deliveries:
        try:
            is_sent = resend_delivery(delivery=delivery, actor=actor, at=at)
        except (EndpointDeleted, EndpointPaused):
            is_sent = False
        sent += is_sent
        passed_over += not is_sent
    return sent, passed_over
