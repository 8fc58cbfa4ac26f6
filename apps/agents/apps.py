from datetime import timedelta

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "apps.agents"

    def ready(self) -> None:
        from apps.agents import counting
        from apps.agents.selectors import readers_by_device
        from apps.events import state
        from apps.events.retention import expire
        from apps.inventory.readers import register_readers

        register_readers(readers_by_device)
        state.measure_tenant(counting.STATE, counting.read_agents)
        state.measure_installation(counting.INSTALLATION, counting.read_authority)
        expire("agents_enrollmenttoken", kept=timedelta(days=90), when="expires_at < %(before)s")
        # Long past the time in which an expired certificate may be renewed.
        expire("agents_certificate", kept=timedelta(days=400), when="not_after < %(before)s")
        expire("agents_signingrequest", kept=timedelta(hours=1), when="created_at < %(before)s")
