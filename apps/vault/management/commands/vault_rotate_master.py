from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.authorization.actors import Actor
from apps.core import clock
from apps.vault import services


class Command(BaseCommand):
    """The new key is in place and every process restarted with both: see docs/operator-handbook/keys.md."""

    help = "Wrap every data key under the current master key and retire the earlier ones."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--force",
            action="store_true",
            help="rotate although running processes lack the key: they fail until they are restarted",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        try:
            done = services.rotate_master_key(
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
        self.stdout.write(f"{done.wrapped} data keys wrapped under master key {label}.")
        for retired in done.retired:
            self.stdout.write(f"Master key {retired} is retired.")
        left = [key.key_id for key in services.known_master_keys() if not key.retired_at]
        if left != [label]:
            raise CommandError(f"Still live: {', '.join(left)}. Run it again.")
