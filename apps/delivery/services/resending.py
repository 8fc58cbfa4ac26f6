"""Resending dead letters and delivered events."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.delivery.choices import DeliveryState
from apps.delivery.errors import DestinationDeleted, DestinationPaused
from apps.delivery.models import Delivery
from apps.delivery.services.scheduling import schedule_destination

_FINAL = (DeliveryState.DEAD, DeliveryState.DELIVERED)


def resend_delivery(*, delivery: Delivery, actor: Actor, at: datetime) -> bool:
    """Send the same bytes under the same event id, with a new retry schedule; False if it is pending already.

    Idempotent: a repeated call has no effect. Raises DestinationDeleted, DestinationPaused.
    """
    destination = delivery.destination
    if destination.deleted_at is not None:
        raise DestinationDeleted
    if destination.is_paused:
        raise DestinationPaused
    with transaction.atomic():
        updated = Delivery.objects.filter(pk=delivery.pk, state__in=_FINAL).update(
            state=DeliveryState.PENDING,
            next_attempt_at=at,
            failure_count=0,
            dead_at=None,
            dead_reason="",
        )
        if not updated:
            return False
        schedule_destination(destination_id=destination.id, at=at)
        record(
            action=f"{destination.channel}_delivery.resent",
            actor=actor,
            entity=delivery.audited_as,
            at=at,
            detail={"event_id": str(delivery.event_id), "endpoint": destination.name},
        )
    return True


def resend_deliveries(
    *, deliveries: Iterable[Delivery], actor: Actor, at: datetime
) -> tuple[int, int]:
    """Resend many; returns the numbers of resent and skipped ones (paused, deleted or pending)."""
    resent = skipped = 0
    for delivery in deliveries:
        try:
            is_resent = resend_delivery(delivery=delivery, actor=actor, at=at)
        except (DestinationDeleted, DestinationPaused):
            is_resent = False
        resent += is_resent
        skipped += not is_resent
    return resent, skipped
