from django.apps import AppConfig


class InventoryConfig(AppConfig):
    name = "apps.inventory"

    def ready(self) -> None:
        from apps.inventory.limits import register_limits
        from apps.inventory.services.credentials import devices_using
        from apps.vault.usages import register_usage_provider

        register_limits()
        register_usage_provider(devices_using)
