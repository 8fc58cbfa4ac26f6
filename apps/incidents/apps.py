from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    name = "apps.incidents"

    def ready(self) -> None:
        from apps.events import due, subscriptions
        from apps.incidents import subscribers
        from apps.incidents.limits import register_limits
        from apps.incidents.services.correlate import CORRELATE

        register_limits()
        subscriptions.subscribe(
            "alert.transition", name="incidents.wake", handler=subscribers.on_alert_transition
        )
        due.register(CORRELATE, CORRELATE)
