from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "apps.audit"

    def ready(self) -> None:
        from apps.audit import background
        from apps.audit.services import VERIFY, VERIFY_EVERY
        from apps.events import due, gauges

        due.register(VERIFY, VERIFY, every=VERIFY_EVERY)
        gauges.register_tenant_gauges(background.STATE, background.read_verification)
