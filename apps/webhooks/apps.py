from datetime import timedelta

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "apps.webhooks"

    def ready(self) -> None:
        from apps.events import due, state, subscriptions
        from apps.events.retention import expire, follow
        from apps.webhooks import counting, subscribers
        from apps.webhooks.choices import INCIDENT_EVENTS
        from apps.webhooks.services.rearming import DELIVER

        subscriptions.subscribe(
            [str(event) for event in INCIDENT_EVENTS],
            name="webhooks.fan_out",
            handler=subscribers.on_incident_event,
        )
        due.register(DELIVER, DELIVER)
        state.measure_tenant(counting.STATE, counting.read_ledger)
        expire(
            "webhooks_delivery",
            kept=timedelta(days=30),
            when="state IN ('delivered', 'dead') AND coalesce(delivered_at, dead_at) < %(before)s",
        )
        follow("webhooks_delivery", "webhooks_attempt")
