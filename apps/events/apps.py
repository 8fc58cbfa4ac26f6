from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "apps.events"

    def ready(self) -> None:
        from apps.events import due
        from apps.events.outbox import DISPATCH

        due.register(DISPATCH, DISPATCH)
