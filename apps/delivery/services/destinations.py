"""Services of destinations: create, rename, test, pause, resume, delete. Their channel's app calls them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, transaction

from apps.accounts.access_sessions import refuse_in_access_session
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.delivery.channels import channel_named
from apps.delivery.choices import DeadReason, DeliveryState, EventType, PauseReason
from apps.delivery.errors import DestinationDeleted, DestinationNameTaken, DestinationPaused
from apps.delivery.models import Delivery, Destination
from apps.delivery.services.queueing import add_delivery
from apps.delivery.services.scheduling import schedule_destination, unschedule_destination


def create_destination(*, channel: str, name: str) -> Destination:
    """An active destination; its channel's app adds the configuration and the audit record in the same transaction.

    Raises DestinationNameTaken.
    """
    destination = Destination(channel=channel, name=name)
    with _unique_name(name):
        destination.save(force_insert=True)
    return destination


def rename_destination(*, destination: Destination, name: str) -> None:
    """Raises DestinationNameTaken."""
    destination.name = name
    with _unique_name(name):
        destination.save(update_fields=["name"])


def lock_destination(destination: Destination) -> Destination:
    """The row as it is now, locked. Raises DestinationDeleted."""
    locked = Destination.objects.select_for_update(no_key=True).get(pk=destination.pk)
    if locked.deleted_at is not None:
        raise DestinationDeleted
    return locked


def delete_destination(*, destination: Destination, actor: Actor, at: datetime) -> bool:
    """Stop sending; the delivery log is kept. False if it was deleted already.

    The caller deletes the secrets in the same transaction.
    """
    with transaction.atomic():
        try:
            locked = lock_destination(destination)
        except DestinationDeleted:
            return False
        locked.deleted_at = at
        locked.save(update_fields=["deleted_at"])
        dead_letter_pending(destination=locked, reason=DeadReason.ENDPOINT_DELETED, at=at)
        unschedule_destination(destination_id=locked.id)
        audit_destination("deleted", locked, actor=actor, at=at, detail={"name": locked.name})
    return True


def pause_destination(*, destination: Destination, actor: Actor, at: datetime) -> None:
    """Queue events without sending until ``resume_destination``. Idempotent: the first pause counts.

    Raises DestinationDeleted.
    """
    with transaction.atomic():
        locked = lock_destination(destination)
        if locked.is_paused:
            return
        locked.pause_reason, locked.paused_at = PauseReason.OPERATOR, at
        locked.save(update_fields=["pause_reason", "paused_at"])
        reason = {"reason": PauseReason.OPERATOR.value}
        audit_destination("paused", locked, actor=actor, at=at, detail=reason)


def resume_destination(*, destination: Destination, actor: Actor, at: datetime) -> None:
    """Send again, queued events first. Dead letters are not resent.

    Idempotent. Raises DestinationDeleted.
    """
    refuse_in_access_session(actor)
    with transaction.atomic():
        locked = lock_destination(destination)
        if not locked.is_paused:
            return
        reason = {"reason": locked.pause_reason}
        Destination.objects.filter(pk=locked.pk).update(
            pause_reason="", paused_at=None, failing_since=None, slow_failures=0, backoff_until=None
        )
        schedule_destination(destination_id=locked.id, at=at)
        audit_destination("resumed", locked, actor=actor, at=at, detail=reason)


def test_destination(*, destination: Destination, actor: Actor, at: datetime) -> Delivery:
    """Send a test through the queue; the state of the returned delivery shows the result.

    Raises DestinationPaused, DestinationDeleted.
    """
    with transaction.atomic():
        locked = lock_destination(destination)
        if locked.is_paused:
            raise DestinationPaused
        event_id = uuid4()
        channel = channel_named(locked.channel)
        delivery = add_delivery(
            destination=locked,
            event_id=event_id,
            event_type=EventType.PING,
            body=channel.render_test(locked, event_id=event_id, at=at),
            at=at,
        )
        schedule_destination(destination_id=locked.id, at=at)
        detail = {"event_id": str(event_id)}
        audit_destination("tested", locked, actor=actor, at=at, detail=detail)
    return delivery


def dead_letter_pending(*, destination: Destination, reason: DeadReason, at: datetime) -> int:
    """Turn the pending deliveries of this destination into dead letters; returns their number."""
    return Delivery.objects.filter(destination=destination, state=DeliveryState.PENDING).update(
        state=DeliveryState.DEAD, dead_at=at, dead_reason=reason, next_attempt_at=None
    )


def audit_destination(
    verb: str, destination: Destination, *, actor: Actor, at: datetime, detail: Mapping[str, Any]
) -> None:
    """Record a change of a destination or of its configuration."""
    record(
        action=f"{destination.channel}_endpoint.{verb}",
        actor=actor,
        entity=destination.audited_as,
        at=at,
        detail=detail,
    )


@contextmanager
def _unique_name(name: str) -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "delivery_destination_name_uniq" in str(error):
            raise DestinationNameTaken(
                message=f"An endpoint named {name} exists already."
            ) from error
        raise
