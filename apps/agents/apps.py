from datetime import timedelta

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "apps.agents"

    def ready(self) -> None:
        from apps.agents import counting
        from apps.agents.selectors import readers_by_device
        from apps.agents.services.ownership import note_device_move
        from apps.events import state
        from apps.events.retention import expire
        from apps.inventory.moves import on_device_move
        from apps.inventory.readers import register_readers
        from apps.telemetry.partitions import LATE_DAYS

        register_readers(readers_by_device)
        on_device_move(note_device_move)
        state.measure_tenant(counting.STATE, counting.read_agents)
        state.measure_installation(counting.INSTALLATION, counting.read_authority)
        expire(
            "agents_enrollmenttoken",
            retention=timedelta(days=90),
            condition="expires_at < %(before)s",
        )
        # Long past the time in which an expired certificate may be renewed.
        expire(
            "agents_certificate", retention=timedelta(days=400), condition="not_after < %(before)s"
        )
        # Older samples are refused whoever sends them.
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
