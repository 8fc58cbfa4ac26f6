from datetime import timedelta

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "apps.alerts"

    def ready(self) -> None:
        from apps.alerts.services.evaluate import EVALUATE
        from apps.events import due

        due.register(EVALUATE, EVALUATE, every=timedelta(seconds=2))
