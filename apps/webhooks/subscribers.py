"""What webhooks hear from below."""

from apps.core import clock
from apps.events.subscriptions import Event
from apps.webhooks.services.fanning_out import fan_out


def on_incident_event(event: Event) -> None:
    """An incident opened, changed, was acknowledged or closed."""
    fan_out(event=event, at=clock.now())
