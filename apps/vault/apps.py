from datetime import timedelta

from django.apps import AppConfig


class VaultConfig(AppConfig):
    name = "apps.vault"

    def ready(self) -> None:
        from apps.events import due, processes
        from apps.events.retention import expire
        from apps.tenancy import startup_checks
        from apps.vault.services.key_holders import MASTER_KEYS_FACT, read_key_ids
        from apps.vault.services.master_keys import check_master_key
        from apps.vault.services.rotation import RESEAL

        due.register(RESEAL, RESEAL)
        startup_checks.register_check(check_master_key)
        processes.publish_fact(MASTER_KEYS_FACT, read_key_ids)
        # A holder that is still active is audited once more, as a new lease.
        expire(
            "vault_secretlease", retention=timedelta(days=90), condition="leased_at < %(before)s"
        )
