from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "apps.agents"

    def ready(self) -> None:
        from apps.agents import counting
        from apps.events import state

        state.measure_tenant(counting.STATE, counting.read_agents)
        state.measure_installation(counting.INSTALLATION, counting.read_authority)
