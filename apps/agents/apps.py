from datetime import timedelta

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "apps.agents"

    def ready(self) -> None:
        from apps.agents import metrics
        from apps.agents.selectors import polling_agents_by_device
        from apps.agents.services.ownership import record_device_move
        from apps.events import gauges
        from apps.events.retention import expire
        from apps.inventory.moves import on_device_move
        from apps.inventory.polling_agents import register_polling_agents
        from apps.telemetry.partitions import LATE_DAYS

        register_polling_agents(polling_agents_by_device)
        on_device_move(record_device_move)
        gauges.register_tenant_gauges(metrics.STATE, metrics.read_agents)
        gauges.register_installation_gauges(metrics.INSTALLATION, metrics.read_authority)
        expire(
            "agents_enrollmenttoken",
            retention=timedelta(days=90),
            condition="expires_at < %(before)s",
        )
        # Well after the period in which an expired certificate may be renewed.
        expire(
            "agents_certificate", retention=timedelta(days=400), condition="not_after < %(before)s"
        )
        # Older samples are refused in any case.
        expire(
            "agents_formerassignment",
            retention=timedelta(days=LATE_DAYS + 1),
            condition="ended_at < %(before)s",
        )
        expire(
            "agents_quarantinedentity",
            retention=timedelta(days=30),
            condition="last_seen_at < %(before)s",
        )
        expire(
            "agents_signingrequest",
            retention=timedelta(hours=1),
            condition="created_at < %(before)s",
        )
