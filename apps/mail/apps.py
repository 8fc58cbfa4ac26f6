from django.apps import AppConfig


class MailConfig(AppConfig):
    name = "apps.mail"

    def ready(self) -> None:
        from apps.events import due
        from apps.events.retention import expire
        from apps.mail.services import RETENTION, SEND

        due.register(SEND, SEND)
        expire("mail_message", retention=RETENTION, condition="done_at < %(before)s")
