"""Handlers of outbox events."""

from apps.core import clock
from apps.delivery.services import fan_out
from apps.events.subscriptions import Event
from apps.webhooks.channel import CHANNEL


def on_incident_event(event: Event) -> None:
    """Queue webhooks for an event of an incident."""
    fan_out(channel=CHANNEL, event=event, at=clock.now())
