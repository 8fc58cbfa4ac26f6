from argparse import ArgumentParser
from getpass import getuser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.agents.services import (
    authority_statuses,
    promote_authority,
    retire_authorities,
    stage_authority,
)
from apps.authorization.actors import Actor
from apps.core import clock
from apps.core.errors import DomainError


class Command(BaseCommand):
    """The certificate authority of agents, and its rollover in three steps; each is audited in the platform's log."""

    help = "Show the certificate authorities, or roll over: stage, then promote, then retire."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("step", choices=["status", "stage", "promote", "retire"])
        parser.add_argument(
            "--force", action="store_true", help="continue even if some agents must enroll again"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['step']}")(options["force"])
        except DomainError as error:
            raise CommandError(error.message) from error

    def _status(self, _force: bool) -> None:  # noqa: FBT001
        for row in authority_statuses(clock.now()):
            until = f"until {row.not_after:%Y-%m-%d}"
            self.stdout.write(f"{row.stage:<7} {row.fingerprint}  {until}  {row.agents} agents")

    def _stage(self, _force: bool) -> None:  # noqa: FBT001
        fingerprint = stage_authority(actor=_actor(), at=clock.now())
        self.stdout.write(
            f"Staged {fingerprint}. Agents receive it within a minute; then run: promote."
        )

    def _promote(self, force: bool) -> None:  # noqa: FBT001
        row = promote_authority(force=force, actor=_actor(), at=clock.now())
        self.stdout.write(
            f"{row.fingerprint} is active. When every agent has renewed, run: retire."
        )

    def _retire(self, force: bool) -> None:  # noqa: FBT001
        number = retire_authorities(force=force, actor=_actor(), at=clock.now())
        self.stdout.write(f"Retired {number}.")


def _actor() -> Actor:
    return Actor("operator", "", f"{getuser()} at the command line")
