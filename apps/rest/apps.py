from django.apps import AppConfig


class RestConfig(AppConfig):
    name = "apps.rest"

    def ready(self) -> None:
        from apps.events.retention import expire
        from apps.rest.models import IDEMPOTENCY_RETENTION

        expire(
            "rest_idempotencyrecord",
            retention=IDEMPOTENCY_RETENTION,
            condition="created_at < %(before)s",
        )
