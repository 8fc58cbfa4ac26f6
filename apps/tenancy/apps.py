from django.apps import AppConfig
from django.db.models.signals import post_migrate

from apps.tenancy.grants import grant_global_tables


class TenancyConfig(AppConfig):
    name = "apps.tenancy"

    def ready(self) -> None:
        post_migrate.connect(grant_global_tables, sender=self, dispatch_uid="tenancy.grants")
