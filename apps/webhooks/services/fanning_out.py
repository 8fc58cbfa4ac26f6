"""From one incident event to one delivery per endpoint that wants it."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.events.subscriptions import Event
from apps.tenancy.models import Tenant
from apps.webhooks.choices import (
    SEVERITY_ORDER,
    DeadReason,
    DeliveryState,
    EventType,
    PauseReason,
)
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.rendering import Envelope, View, render_incident_event
from apps.webhooks.services.rearming import ring

MAX_HOPS = 5

# Paused by the platform: waiting for a receiver that is gone would be a promise nobody keeps.
_PAUSED_FOR_GOOD = frozenset({PauseReason.GONE, PauseReason.FAILING})


def fan_out(*, event: Event, at: datetime) -> int:
    """Render and store the event for each endpoint that wants it; returns how many.

    Idempotent: one delivery per (endpoint, event). Raises SnapshotIncomplete.
    """
    hop = int(event.payload.get("hop") or 0)
    if hop > MAX_HOPS:
        _drop(event, hop, at)
        return 0
    tenant = Tenant.objects.get(pk=event.tenant_id)
    envelope = Envelope(str(event.id), event.topic, event.created_at, str(tenant.id), tenant.name)
    count = 0
    for endpoint in Endpoint.objects.filter(deleted_at=None).order_by("name"):
        if not _wants(endpoint, event.topic, event.payload):
            continue
        add_delivery(
            endpoint=endpoint,
            event_id=event.id,
            event_type=EventType(event.topic),
            body=render_incident_event(envelope, event.payload, view_of(endpoint)),
            at=at,
            incident=event.payload,
            hop=hop,
        )
        if not endpoint.is_paused:
            ring(endpoint_id=endpoint.id, at=at)
        count += 1
    return count


def add_delivery(
    *,
    endpoint: Endpoint,
    event_id: UUID,
    event_type: EventType,
    body: bytes,
    at: datetime,
    incident: Mapping[str, Any] | None = None,
    hop: int = 0,
) -> Delivery:
    """Store the bytes for one endpoint, once; a second call returns the first one's row."""
    is_dead = endpoint.pause_reason in _PAUSED_FOR_GOOD
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
        endpoint=endpoint, event_id=event_id, defaults=fields
    )
    return delivery


def view_of(endpoint: Endpoint) -> View:
    """What the endpoint may see."""
    return View(
        hides_tenant_name=endpoint.hides_tenant_name,
        hides_people=endpoint.hides_people,
        hides_evidence=endpoint.hides_evidence,
        thin=endpoint.is_thin,
    )


def _wants(endpoint: Endpoint, event_type: str, incident: Mapping[str, Any]) -> bool:
    if endpoint.event_types and event_type not in endpoint.event_types:
        return False
    severity = SEVERITY_ORDER.get(str(incident.get("severity")), 0)
    if severity >= SEVERITY_ORDER[endpoint.severity_floor]:
        return True
    # Told of the incident while it was worse, the receiver is told how it ends.
    return Delivery.objects.filter(endpoint=endpoint, incident_id=incident["id"]).exists()


def _drop(event: Event, hop: int, at: datetime) -> None:
    record(
        action="webhook_event.dropped",
        actor=Actor.system("webhooks"),
        entity=("incident", event.payload.get("id", event.key)),
        at=at,
        detail={"event_id": str(event.id), "event_type": event.topic, "hop": hop},
    )
