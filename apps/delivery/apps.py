from datetime import timedelta

from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    name = "apps.delivery"

    def ready(self) -> None:
        from apps.delivery.services.scheduling import DELIVER
        from apps.events import due
        from apps.events.retention import declare_cascade, expire

        due.register(DELIVER, DELIVER)
        expire(
            "delivery_delivery",
            retention=timedelta(days=30),
            condition="state IN ('delivered', 'dead') AND coalesce(delivered_at, dead_at) < %(before)s",
        )
        declare_cascade("delivery_delivery", "delivery_attempt")
