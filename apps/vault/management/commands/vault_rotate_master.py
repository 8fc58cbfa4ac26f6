from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.authorization.actors import Actor
from apps.core import clock
from apps.vault import services


class Command(BaseCommand):
    """Run it after every process was restarted with both keys: see docs/operator-handbook/keys.md."""

    help = "Wrap every data key under the current master key and retire the earlier ones."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--force",
            action="store_true",
            help="rotate even if running processes lack the key; they fail until they are restarted",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            result = services.rotate_master_key(
                actor=Actor.system("vault_rotate_master"),
                at=clock.now(),
                force=options["force"],
            )
        except (
            services.MasterKeyInvalid,
            services.MasterKeyNotEverywhere,
            services.MasterKeyRetired,
        ) as error:
            raise CommandError(str(error)) from error
        label = services.keyring().current.label
        self.stdout.write(f"{result.rewrapped_count} data keys wrapped under master key {label}.")
        for retired in result.retired_key_ids:
            self.stdout.write(f"Master key {retired} is retired.")
        live = [key.key_id for key in services.all_master_keys() if not key.retired_at]
        if live != [label]:
            raise CommandError(f"Still live: {', '.join(live)}. Run it again.")
