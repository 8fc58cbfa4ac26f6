from django.apps import AppConfig


class VaultConfig(AppConfig):
    name = "apps.vault"

    def ready(self) -> None:
        from apps.events import due
        from apps.tenancy import guard
        from apps.vault.services.master_keys import check_master_key
        from apps.vault.services.rotating import RESEAL

        due.register(RESEAL, RESEAL)
        guard.also_refuse(check_master_key)
