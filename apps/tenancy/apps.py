from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate

from apps.tenancy.grants import grant_global_tables


class TenancyConfig(AppConfig):
    name = "apps.tenancy"

    def ready(self) -> None:
        from apps.tenancy.guard import register_check
        from apps.tenancy.schema_version import refuse_newer_database, refuse_to_migrate

        register_check(refuse_newer_database)
        pre_migrate.connect(refuse_to_migrate, sender=self, dispatch_uid="tenancy.schema_version")
        post_migrate.connect(grant_global_tables, sender=self, dispatch_uid="tenancy.grants")
