from datetime import timedelta

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "apps.webhooks"

    def ready(self) -> None:
        from apps.events import due, state, subscriptions
        from apps.events.retention import expire, follow
        from apps.webhooks import metrics, subscribers
        from apps.webhooks.choices import INCIDENT_EVENTS
        from apps.webhooks.services.scheduling import DELIVER

        subscriptions.subscribe(
            [str(event) for event in INCIDENT_EVENTS],
            name="webhooks.fan_out",
            handler=subscribers.on_incident_event,
        )
        due.register(DELIVER, DELIVER)
        state.measure_tenant(metrics.STATE, metrics.read_deliveries)
        expire(
            "webhooks_delivery",
            retention=timedelta(days=30),
            condition="state IN ('delivered', 'dead') AND coalesce(delivered_at, dead_at) < %(before)s",
        )
        follow("webhooks_delivery", "webhooks_attempt")
