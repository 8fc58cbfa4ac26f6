from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.authorization.actors import Actor
from apps.core import clock
from apps.tenancy.models import Tenant
from apps.vault import services

ACTOR = Actor.system("vault_rotate_tenant")


class Command(BaseCommand):
    """Can be interrupted and run again at any time; reads and writes continue."""

    help = "Give a tenant a new data key and re-seal its secrets."

    def add_arguments(self, parser: ArgumentParser) -> None:
        target = parser.add_mutually_exclusive_group(required=True)
        target.add_argument("tenant", nargs="?", help="the tenant's slug")
        target.add_argument(
            "--all", action="store_true", help="every tenant, then the installation"
        )
        target.add_argument(
            "--platform", action="store_true", help="the installation's own secrets"
        )
        parser.add_argument(
            "--in-background", action="store_true", help="leave the re-sealing to the workers"
        )
        parser.add_argument(
            "--grace",
            type=int,
            default=int(services.GRACE.total_seconds()),
            help="seconds that the old key still opens after the new one was created (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            services.check_master_key()
        except services.MasterKeyInvalid as error:
            raise CommandError(str(error)) from error
        tenants = self._tenants(options)
        unreadable = 0
        for tenant in tenants:
            if options["in_background"] and tenant is not None:
                version = services.start_rotation(tenant_id=tenant.id, actor=ACTOR, at=clock.now())
                self.stdout.write(f"{tenant.slug}: key {version} seals now; workers re-seal.")
            else:
                unreadable += self._rotate(tenant, timedelta(seconds=options["grace"]))
        if unreadable:
            raise CommandError(
                f"{unreadable} secrets cannot be opened; they and their keys are unchanged."
            )

    def _rotate(self, tenant: Tenant | None, grace: timedelta) -> int:
        name = tenant.slug if tenant else "installation"
        resealed = 0

        def count(sweep: services.Sweep) -> None:
            nonlocal resealed
            resealed += sweep.resealed

        version, last, retired = services.rotate_now(
            tenant_id=tenant.id if tenant else None,
            actor=ACTOR,
            at=clock.now(),
            grace=grace,
            progress=count,
        )
        old = (
            f"retired: {', '.join(map(str, retired))}"
            if retired
            else f"earlier keys retire {int(grace.total_seconds())} s after the new one was created"
        )
        self.stdout.write(f"{name}: key {version} seals now; {resealed} secrets re-sealed; {old}.")
        return last.unreadable

    def _tenants(self, options: dict[str, Any]) -> list[Tenant | None]:
        if options["platform"]:
            return [None]
        if options["all"]:
            return [*Tenant.objects.order_by("slug"), None]
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']!r}.")
        return [tenant]
