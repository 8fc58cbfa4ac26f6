from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate

from apps.tenancy.grants import grant_global_tables


class TenancyConfig(AppConfig):
    name = "apps.tenancy"

    def ready(self) -> None:
        from apps.tenancy.schema_version import check_before_migrate, check_database_version
        from apps.tenancy.startup_checks import register_check

        register_check(check_database_version)
        pre_migrate.connect(
            check_before_migrate, sender=self, dispatch_uid="tenancy.schema_version"
        )
        post_migrate.connect(grant_global_tables, sender=self, dispatch_uid="tenancy.grants")
