from django.apps import AppConfig


class InventoryConfig(AppConfig):
    name = "apps.inventory"

    def ready(self) -> None:
        from apps.inventory.limits import register_limits
        from apps.inventory.services.credentials import devices_using
        from apps.vault.uses import tell_uses

        register_limits()
        tell_uses(devices_using)
