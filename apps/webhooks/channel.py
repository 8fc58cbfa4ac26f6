"""Webhooks as a channel: signed HTTP requests with the contract's bodies, one per subscribed endpoint."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.core.http import EgressClient, policy_of_installation
from apps.delivery.channels import Channel
from apps.delivery.choices import EventType
from apps.delivery.models import Delivery, Destination
from apps.events.subscriptions import Event
from apps.tenancy.context import require_tenant_id
from apps.tenancy.models import Tenant
from apps.webhooks.choices import CHANNEL_NAME, SEVERITY_ORDER
from apps.webhooks.models import Endpoint
from apps.webhooks.rendering import Envelope, render_incident_event, render_ping
from apps.webhooks.sending import HttpSender
from apps.webhooks.services.secrets import live_secrets


def guarded_client() -> EgressClient:
    """A client within the operator's egress rules as they are now."""
    return EgressClient(policy_of_installation())


class WebhookChannel(Channel):
    """Receivers recognise a repeated event by its id, so a lease may hold many."""

    name = CHANNEL_NAME
    max_lease = 20

    def __init__(self, make_client: Callable[[], EgressClient] = guarded_client) -> None:
        self._make_client = make_client

    def addresses(self, destinations: Sequence[Destination]) -> Mapping[UUID, str]:
        """Their URLs."""
        ids = [row.id for row in destinations]
        return dict(Endpoint.objects.filter(pk__in=ids).values_list("pk", "url"))

    def render(self, event: Event, destinations: Sequence[Destination]) -> Mapping[UUID, bytes]:
        """The bodies for subscribed endpoints. Raises SnapshotIncomplete."""
        tenant = Tenant.objects.get(pk=event.tenant_id)
        envelope = Envelope(
            str(event.id), event.topic, event.created_at, str(tenant.id), tenant.name
        )
        endpoints = Endpoint.objects.in_bulk([row.id for row in destinations])
        return {
            row.id: render_incident_event(
                envelope, event.payload, endpoints[row.id].payload_options
            )
            for row in destinations
            if _is_subscribed(endpoints[row.id], event.topic, event.payload)
        }

    def render_test(self, destination: Destination, *, event_id: UUID, at: datetime) -> bytes:
        """The body of ``webhook.ping``."""
        tenant = Tenant.objects.get(pk=require_tenant_id())
        return render_ping(
            Envelope(str(event_id), EventType.PING, at, str(tenant.id), tenant.name),
            endpoint_id=str(destination.id),
            endpoint_name=destination.name,
            options=Endpoint.objects.get(pk=destination.id).payload_options,
        )

    def open(self, destination: Destination, *, at: datetime) -> HttpSender:
        """With the secrets that sign now."""
        endpoint = Endpoint.objects.get(pk=destination.id)
        return HttpSender(
            url=endpoint.url,
            ca_pem=endpoint.ca_pem,
            live_secrets=tuple(live_secrets(endpoint=endpoint, at=at)),
            client=self._make_client(),
        )


def _is_subscribed(endpoint: Endpoint, event_type: str, incident: Mapping[str, Any]) -> bool:
    if endpoint.event_types and event_type not in endpoint.event_types:
        return False
    severity = SEVERITY_ORDER.get(str(incident.get("severity")), 0)
    if severity >= SEVERITY_ORDER[endpoint.severity_floor]:
        return True
    # It received earlier events of the incident at a higher severity, so it also receives the end.
    return Delivery.objects.filter(destination_id=endpoint.id, incident_id=incident["id"]).exists()


CHANNEL = WebhookChannel()
