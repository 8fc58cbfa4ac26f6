from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.tenancy.models import Tenant
from apps.vault import services


class Command(BaseCommand):
    """Prints counts and key ids, never a secret. Exits with 1 when a secret cannot be opened."""

    help = "Show the vault's keys, and how many secrets are sealed under each."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--verify", action="store_true", help="open every secret to check that it can be read"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            master_keys = services.check_master_key()
        except services.MasterKeyInvalid as error:
            raise CommandError(str(error)) from error
        for key in services.all_master_keys():
            state = f"retired {key.retired_at:%Y-%m-%d}" if key.retired_at else "live"
            seals = ", seals" if key.key_id == master_keys.current.label else ""
            self.stdout.write(f"master key {key.key_id}: {state}{seals}")
        unreadable = self._show("installation", None, verify=options["verify"])
        for tenant in Tenant.objects.order_by("slug"):
            unreadable += self._show(f"tenant {tenant.slug}", tenant, verify=options["verify"])
        if unreadable:
            raise CommandError(f"{unreadable} secrets cannot be opened.")

    def _show(self, name: str, tenant: Tenant | None, *, verify: bool) -> int:
        state = services.vault_state(tenant.id if tenant else None, open_all=verify)
        keys = "; ".join(
            f"key {key.version} (master {key.master_key}): {key.secrets}" for key in state.keys
        )
        opened = ", all opened" if verify and not state.unreadable else ""
        self.stdout.write(f"{name}: {state.secrets} secrets{opened}; {keys or 'no key yet'}")
        if state.unreadable:
            self.stdout.write(f"{name}: {state.unreadable} UNREADABLE")
        return state.unreadable
