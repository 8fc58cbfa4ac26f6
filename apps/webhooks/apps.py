from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "apps.webhooks"

    def ready(self) -> None:
        from apps.delivery import channels
        from apps.delivery.choices import INCIDENT_EVENTS
        from apps.events import subscriptions
        from apps.webhooks import subscribers
        from apps.webhooks.channel import CHANNEL

        channels.register(CHANNEL)
        subscriptions.subscribe(
            [str(event) for event in INCIDENT_EVENTS],
            name="webhooks.fan_out",
            handler=subscribers.on_incident_event,
        )
