"""What incidents hear from below."""

from apps.core import clock
from apps.events.subscriptions import Event
from apps.incidents.services.correlate import wake


def on_alert_transition(event: Event) -> None:
    """An alert fired, began to recover or recovered: look at the whole picture soon."""
    wake(tenant_id=event.tenant_id, at=clock.now())
