from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "apps.audit"

    def ready(self) -> None:
        from apps.audit import verifying
        from apps.audit.services import VERIFY, VERIFY_EVERY
        from apps.events import due, state

        due.register(VERIFY, VERIFY, every=VERIFY_EVERY)
        state.measure_tenant(verifying.STATE, verifying.read_verification)
