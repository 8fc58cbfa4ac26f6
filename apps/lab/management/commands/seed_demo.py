import secrets
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core import clock
from apps.lab.seed.prepare import prepare_database
from apps.lab.seed.run import OtherSeed, seed_demo
from apps.lab.seed.sizes import SIZES
from apps.lab.seed.users import USERS


class Command(BaseCommand):
    help = (
        "Fill the database with a fictitious ISP and a small second tenant: inventory, samples, incidents with"
        " verdicts, webhooks. The same seed creates the same rows; a second run only adds the samples since."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--size", choices=sorted(SIZES), default="small")
        parser.add_argument(
            "--seed", type=int, default=7, help="random seed of the network (default: 7)"
        )
        parser.add_argument(
            "--password", help="password of all users; default: generated and printed"
        )
        parser.add_argument(
            "--at",
            type=_moment,
            help="time that counts as now, ISO 8601 with a time zone (default: now)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        password = options["password"] or secrets.token_urlsafe(12)
        at = options["at"] or clock.now().replace(microsecond=0)
        prepare_database(at)
        try:
            seeded_tenants = seed_demo(
                size=options["size"],
                seed=options["seed"],
                password=password,
                at=at,
                echo=self._echo,
            )
        except OtherSeed as error:
            raise CommandError(str(error)) from error
        for row in seeded_tenants:
            self._echo(
                f"{row.tenant.name}: {row.devices} devices, {row.incidents} incidents"
                f" ({row.open_incidents} open), {row.samples} new samples."
            )
        users = ", ".join(name for name, _full_name, _role in USERS)
        domain = SIZES[options["size"]].domain
        self._echo(f"Sign in as {users} @{domain}; password: {password}")

    def _echo(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("The time needs a time zone.")
    return moment.astimezone(UTC)
