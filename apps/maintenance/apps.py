from datetime import timedelta

from django.apps import AppConfig


class MaintenanceConfig(AppConfig):
    name = "apps.maintenance"

    def ready(self) -> None:
        from apps.events.retention import declare_cascade, expire
        from apps.maintenance.limits import register_limits

        register_limits()
        expire(
            "maintenance_maintenancewindow",
            retention=timedelta(days=730),
            condition="ends_at < %(before)s",
        )
        declare_cascade("maintenance_maintenancewindow", "maintenance_windowtarget")
