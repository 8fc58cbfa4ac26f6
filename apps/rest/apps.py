from django.apps import AppConfig


class RestConfig(AppConfig):
    name = "apps.rest"

    def ready(self) -> None:
        from apps.events.retention import expire
        from apps.rest.models import ANSWERS_KEPT

        expire("rest_idempotentanswer", retention=ANSWERS_KEPT, condition="created_at < %(before)s")
