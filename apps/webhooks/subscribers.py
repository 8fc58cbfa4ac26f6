"""Handlers of outbox events."""

from apps.core import clock
from apps.events.subscriptions import Event
from apps.webhooks.services.fanning_out import fan_out


def on_incident_event(event: Event) -> None:
    """Create deliveries for an event of an incident."""
    fan_out(event=event, at=clock.now())
