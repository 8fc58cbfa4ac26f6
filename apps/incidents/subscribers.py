"""Event handlers of incidents."""

from apps.core import clock
from apps.events.subscriptions import Event
from apps.incidents.services.correlate import wake


def on_alert_transition(event: Event) -> None:
    """An alert changed its state: schedule a correlation of the tenant."""
    wake(tenant_id=event.tenant_id, at=clock.now())
