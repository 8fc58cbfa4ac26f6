from datetime import timedelta

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "apps.alerts"

    def ready(self) -> None:
        from apps.accounts.tenant_defaults import register_tenant_default
        from apps.alerts.messages import CATALOG
        from apps.alerts.models import Alert, AlertRule
        from apps.alerts.services.evaluate import EVALUATE
        from apps.alerts.services.rules import install_default_pack
        from apps.authorization.limits import limit_rows, tenant_wide
        from apps.core import messages
        from apps.events import due
        from apps.events.retention import declare_cascade, expire
        from apps.inventory.limits import entities_within

        limit_rows(AlertRule, tenant_wide)
        limit_rows(Alert, entities_within)

        messages.register(CATALOG)
        register_tenant_default(install_default_pack)
        due.register(EVALUATE, EVALUATE, every=timedelta(seconds=2))
        expire(
            "alerts_alert",
            retention=timedelta(days=400),
            condition="state = 'ok' AND recovered_at < %(before)s",
        )
        declare_cascade("alerts_alert", "alerts_alerttransition")
