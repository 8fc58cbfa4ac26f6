"""Queueing the messages of an event, one for each destination that gets it."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.delivery.channels import Channel
from apps.delivery.choices import DeadReason, DeliveryState, EventType
from apps.delivery.models import Delivery, Destination
from apps.delivery.services.scheduling import schedule_destination
from apps.events.subscriptions import Event

MAX_HOPS = 5


def fan_out(*, channel: Channel, event: Event, at: datetime) -> int:
    """Render and queue an incident event for each destination of the channel; returns the number of deliveries.

    Idempotent: one delivery per (destination, event). Raises what the channel's ``render`` raises.
    """
    hop = int(event.payload.get("hop") or 0)
    if hop > MAX_HOPS:
        _drop(channel, event, hop, at)
        return 0
    rows = Destination.objects.filter(channel=channel.name, deleted_at=None).order_by("name")
    destinations = {row.id: row for row in rows}
    if not destinations:
        return 0
    bodies = channel.render(event, list(destinations.values()))
    for destination_id, body in bodies.items():
        destination = destinations[destination_id]
        add_delivery(
            destination=destination,
            event_id=event.id,
            event_type=EventType(event.topic),
            body=body,
            at=at,
            incident=event.payload,
            hop=hop,
        )
        if not destination.is_paused:
            schedule_destination(destination_id=destination_id, at=at)
    return len(bodies)


def add_delivery(
    *,
    destination: Destination,
    event_id: UUID,
    event_type: EventType,
    body: bytes,
    at: datetime,
    incident: Mapping[str, Any] | None = None,
    hop: int = 0,
) -> Delivery:
    """Store the message for one destination. Idempotent: returns the existing row of the same event."""
    is_dead = destination.is_given_up
    fields: dict[str, Any] = {
        "event_type": event_type,
        "incident_id": incident["id"] if incident else None,
        "epoch": incident.get("epoch", 0) if incident else None,
        "sequence": incident["sequence"] if incident else None,
        "body": body,
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "hop": hop,
        "created_at": at,
        "state": DeliveryState.DEAD if is_dead else DeliveryState.PENDING,
        "next_attempt_at": None if is_dead else at,
        "dead_at": at if is_dead else None,
        "dead_reason": DeadReason.ENDPOINT_PAUSED if is_dead else "",
    }
    delivery, _ = Delivery.objects.get_or_create(
        destination=destination, event_id=event_id, defaults=fields
    )
    return delivery


def _drop(channel: Channel, event: Event, hop: int, at: datetime) -> None:
    record(
        action=f"{channel.name}_event.dropped",
        actor=Actor.system("delivery"),
        entity=("incident", event.payload.get("id", event.key)),
        at=at,
        detail={"event_id": str(event.id), "event_type": event.topic, "hop": hop},
    )
