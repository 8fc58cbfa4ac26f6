from django.apps import AppConfig


class RestConfig(AppConfig):
    name = "apps.rest"

    def ready(self) -> None:
        from apps.events.retention import expire
        from apps.rest.models import ANSWERS_KEPT

        expire("rest_idempotentanswer", kept=ANSWERS_KEPT, when="created_at < %(before)s")
