from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "apps.webhooks"

    def ready(self) -> None:
        from apps.events import due, state, subscriptions
        from apps.webhooks import counting, subscribers
        from apps.webhooks.choices import INCIDENT_EVENTS
        from apps.webhooks.services.rearming import DELIVER, PRUNE, PRUNE_EVERY

        subscriptions.subscribe(
            [str(event) for event in INCIDENT_EVENTS],
            name="webhooks.fan_out",
            handler=subscribers.on_incident_event,
        )
        due.register(DELIVER, DELIVER)
        state.measure_tenant(counting.STATE, counting.read_ledger)
        due.register(PRUNE, PRUNE, every=PRUNE_EVERY)
