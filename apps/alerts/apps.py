from datetime import timedelta

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "apps.alerts"

    def ready(self) -> None:
        from apps.alerts.messages import CATALOG
        from apps.alerts.models import Alert, AlertRule
        from apps.alerts.services.evaluate import EVALUATE
        from apps.authorization.limits import limit_rows, tenant_wide
        from apps.core import messages
        from apps.events import due
        from apps.events.retention import declare_cascade, expire
        from apps.inventory.limits import entities_within

        limit_rows(AlertRule, tenant_wide)
        limit_rows(Alert, entities_within)

        messages.register(CATALOG)
        due.register(EVALUATE, EVALUATE, every=timedelta(seconds=2))
        expire(
            "alerts_alert",
            retention=timedelta(days=400),
            condition="state = 'ok' AND recovered_at < %(before)s",
        )
        declare_cascade("alerts_alert", "alerts_alerttransition")
