from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "apps.webhooks"

    def ready(self) -> None:
        from apps.events import due, subscriptions
        from apps.webhooks import subscribers
        from apps.webhooks.choices import INCIDENT_EVENTS
        from apps.webhooks.services.rearming import DELIVER, PRUNE, PRUNE_EVERY

        subscriptions.subscribe(
            [str(event) for event in INCIDENT_EVENTS],
            name="webhooks.fan_out",
            handler=subscribers.on_incident_event,
        )
        due.register(DELIVER, DELIVER)
        due.register(PRUNE, PRUNE, every=PRUNE_EVERY)
