"""Create one delivery per subscribed endpoint from an incident event."""

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
from apps.webhooks.rendering import Envelope, PayloadOptions, render_incident_event
from apps.webhooks.services.scheduling import schedule_endpoint

MAX_HOPS = 5

# Paused by the platform: new events become dead letters at once, because the receiver is gone.
_PAUSED_BY_PLATFORM = frozenset({PauseReason.GONE, PauseReason.FAILING})


def fan_out(*, event: Event, at: datetime) -> int:
    """Render and store the event for each subscribed endpoint; returns the number of deliveries.

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
        if not _is_subscribed(endpoint, event.topic, event.payload):
            continue
        add_delivery(
            endpoint=endpoint,
            event_id=event.id,
            event_type=EventType(event.topic),
            body=render_incident_event(envelope, event.payload, payload_options(endpoint)),
            at=at,
            incident=event.payload,
            hop=hop,
        )
        if not endpoint.is_paused:
            schedule_endpoint(endpoint_id=endpoint.id, at=at)
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
    """Store the body for one endpoint. Idempotent: returns the existing row of the same event."""
    is_dead = endpoint.pause_reason in _PAUSED_BY_PLATFORM
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


def payload_options(endpoint: Endpoint) -> PayloadOptions:
    """Which data the endpoint receives."""
    return PayloadOptions(
        hides_tenant_name=endpoint.hides_tenant_name,
        hides_people=endpoint.hides_people,
        hides_evidence=endpoint.hides_evidence,
        thin=endpoint.is_thin,
    )


def _is_subscribed(endpoint: Endpoint, event_type: str, incident: Mapping[str, Any]) -> bool:
    if endpoint.event_types and event_type not in endpoint.event_types:
        return False
    severity = SEVERITY_ORDER.get(str(incident.get("severity")), 0)
    if severity >= SEVERITY_ORDER[endpoint.severity_floor]:
        return True
    # It received earlier events of the incident at a higher severity, so it also receives the end.
    return Delivery.objects.filter(endpoint=endpoint, incident_id=incident["id"]).exists()


def _drop(event: Event, hop: int, at: datetime) -> None:
    record(
        action="webhook_event.dropped",
        actor=Actor.system("webhooks"),
        entity=("incident", event.payload.get("id", event.key)),
        at=at,
        detail={"event_id": str(event.id), "event_type": event.topic, "hop": hop},
    )
