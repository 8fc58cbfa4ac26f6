from django.apps import AppConfig


class MaintenanceConfig(AppConfig):
    name = "apps.maintenance"

    def ready(self) -> None:
        from apps.maintenance.limits import register_limits

        register_limits()
