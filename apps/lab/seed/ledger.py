"""Webhook endpoints of a generated ISP, and their deliveries."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from apps.core.messages import Message
from apps.delivery.choices import DeadReason, DeliveryState, Outcome
from apps.delivery.models import Attempt, Delivery, Destination
from apps.incidents.choices import EntryKind
from apps.incidents.models import Incident, TimelineEntry
from apps.incidents.services.publishing import current_problem, snapshot_of
from apps.lab.seed.network import Network
from apps.lab.seed.storing import ROWS_AT_ONCE, parts_of, store_rows
from apps.tenancy.context import require_tenant_id
from apps.webhooks.choices import CHANNEL_NAME, SecretStage
from apps.webhooks.models import Endpoint
from apps.webhooks.rendering import Envelope, render_incident_event
from apps.webhooks.services.secrets import add_secret

#: The retention of the delivery ledger.
HISTORY_PERIOD = timedelta(days=28)
MAX_INCIDENTS = 4_000
RETRY_AFTER = timedelta(seconds=7)
ENDPOINTS: tuple[dict[str, Any], ...] = (
    {"name": "Service desk", "url": "https://desk.example.net/hooks/ispvm"},
    {
        "name": "Chat bridge",
        "url": "https://chat.example.net/in/noc",
        "severity_floor": "critical",
        "hides_people": True,
    },
)


Event = tuple[str, datetime, dict[str, Any]]


def write_ledger(network: Network, *, at: datetime) -> int:
    """Endpoints with their deliveries; returns how many. Call it inside the tenant."""
    endpoints = [_make_endpoint(network, dict(row), at) for row in ENDPOINTS]
    recent = list(
        Incident.objects.filter(opened_at__gt=at - HISTORY_PERIOD).order_by("-number")[
            :MAX_INCIDENTS
        ]
    )
    written = 0
    for incidents in parts_of(recent, ROWS_AT_ONCE // 4):
        deliveries: list[Delivery] = []
        attempts: list[Attempt] = []
        lines: list[TimelineEntry] = []
        for incident in incidents:
            events = list(_events(incident))
            for endpoint in endpoints:
                if endpoint.severity_floor == "critical" and incident.severity != "critical":
                    continue
                for delivery in _deliveries(network, endpoint, events, at):
                    deliveries.append(delivery)
                    attempts += _attempts(network, delivery)
                    lines.append(_line(network, endpoint, delivery, incident))
        for rows in (deliveries, attempts, lines):
            store_rows(rows)
        written += len(deliveries)
    Destination.objects.update(last_success_at=at)
    return written


def _make_endpoint(network: Network, fields: dict[str, Any], at: datetime) -> Endpoint:
    name = fields.pop("name")
    destination = Destination(id=network.id_of("endpoint", name), channel=CHANNEL_NAME, name=name)
    destination.save(force_insert=True)
    endpoint = Endpoint(
        id=destination.id, destination=destination, created_at=at, updated_at=at, **fields
    )
    endpoint.save(force_insert=True)
    add_secret(endpoint=endpoint, stage=SecretStage.CURRENT, at=at)
    return endpoint


def _events(incident: Incident) -> Iterator[Event]:
    """The events of an incident, each with its state at that time."""
    now = snapshot_of(incident, current_problem(incident))
    first = {**now, "status": "open", "ends_at": None, "ack": {"acked_by": None, "acked_at": None}}
    yield "incident.opened", incident.opened_at, {**first, "sequence": 1}
    sequence = 1
    if incident.acked_at is not None:
        sequence += 1
        taken = {**first, "ack": now["ack"], "sequence": sequence}
        yield "incident.acked", incident.acked_at, taken
    if incident.ended_at is not None:
        yield "incident.closed", incident.ended_at, {**now, "sequence": sequence + 1}


def _deliveries(
    network: Network, endpoint: Endpoint, events: Iterable[Event], at: datetime
) -> Iterator[Delivery]:
    tenant_id = str(require_tenant_id())
    for name, moment, document in events:
        event_id = network.id_of("event", document["id"], name)
        envelope = Envelope(str(event_id), name, moment, tenant_id, network.size.title)
        body = render_incident_event(envelope, document, endpoint.payload_options)
        rng = Random(event_id.int ^ endpoint.id.int)
        is_dead = rng.random() < 0.01
        failures = 12 if is_dead else int(rng.random() < 0.04)
        ended_at = min(at, moment + (timedelta(hours=8) if is_dead else timedelta(seconds=1)))
        yield Delivery(
            id=network.id_of("delivery", endpoint.id, event_id),
            destination=endpoint.destination,
            event_id=event_id,
            event_type=name,
            incident_id=document["id"],
            sequence=document["sequence"],
            body=body,
            body_sha256=hashlib.sha256(body).hexdigest(),
            created_at=moment,
            state=DeliveryState.DEAD if is_dead else DeliveryState.DELIVERED,
            attempt_count=failures if is_dead else failures + 1,
            failure_count=failures,
            delivered_at=None if is_dead else ended_at + failures * RETRY_AFTER,
            dead_at=ended_at if is_dead else None,
            dead_reason=DeadReason.EXHAUSTED if is_dead else "",
        )


def _attempts(network: Network, delivery: Delivery) -> list[Attempt]:
    end = delivery.delivered_at or delivery.dead_at or delivery.created_at
    count = delivery.attempt_count
    found = []
    for number in range(1, count + 1):
        failed = number <= delivery.failure_count
        moment = (
            end
            if number == count
            else delivery.created_at + (number - 1) * (end - delivery.created_at) / count
        )
        found.append(
            Attempt(
                id=network.id_of("attempt", delivery.id, number),
                delivery=delivery,
                number=number,
                started_at=moment,
                finished_at=moment,
                outcome=Outcome.REJECTED if failed else Outcome.DELIVERED,
                duration_ms=40 + delivery.event_id.int % 200,
                address="203.0.113.20:443",
                status=503 if failed else 204,
                error_code="status_503" if failed else "",
                error_detail="503 Service Unavailable" if failed else "",
                body_sha256=delivery.body_sha256,
            )
        )
    return found


def _line(
    network: Network, endpoint: Endpoint, delivery: Delivery, incident: Incident
) -> TimelineEntry:
    is_dead = delivery.state == DeliveryState.DEAD
    params = {"event": delivery.event_type, "endpoint": endpoint.name}
    message = Message("incidents.timeline.delivery_accepted", params)
    if is_dead:
        message = Message("incidents.timeline.delivery_failed", params)
    return TimelineEntry(
        id=network.id_of("delivery-line", delivery.id),
        incident=incident,
        at=delivery.delivered_at or delivery.dead_at or delivery.created_at,
        kind=EntryKind.DELIVERY,
        message=message,
        detail={
            "channel": CHANNEL_NAME,
            "endpoint": str(endpoint.id),
            "attempt": delivery.attempt_count,
            "state": str(delivery.state),
        },
    )
