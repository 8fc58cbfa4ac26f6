from datetime import timedelta

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "apps.webhooks"

    def ready(self) -> None:
        from apps.events import due, gauges, subscriptions
        from apps.events.retention import declare_cascade, expire
        from apps.webhooks import metrics, subscribers
        from apps.webhooks.choices import INCIDENT_EVENTS
        from apps.webhooks.services.scheduling import DELIVER

        subscriptions.subscribe(
            [str(event) for event in INCIDENT_EVENTS],
            name="webhooks.fan_out",
            handler=subscribers.on_incident_event,
        )
        due.register(DELIVER, DELIVER)
        gauges.register_tenant_gauges(metrics.STATE, metrics.read_deliveries)
        expire(
            "webhooks_delivery",
            retention=timedelta(days=30),
            condition="state IN ('delivered', 'dead') AND coalesce(delivered_at, dead_at) < %(before)s",
        )
        declare_cascade("webhooks_delivery", "webhooks_attempt")
