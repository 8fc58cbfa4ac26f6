"""``manage restored``: the database was restored, so that webhooks begin a new epoch."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.core import clock
from apps.events.installation import record_restore

ACTOR = Actor.system("manage")


class Command(BaseCommand):
    help = (
        "Record that the database was restored: webhook receivers then apply later events although their sequences"
        " repeat. Needs DATABASE_OWNER_URL. Can be repeated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--note", default="", help="which dump, and why; stored in the audit log"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if "owner" not in connections:
            raise CommandError(
                "This command needs the owner's database URL: set DATABASE_OWNER_URL."
            )
        epoch = record_restore(using="owner", is_certain=True)
        record_platform(
            action="installation.restored",
            actor=ACTOR,
            entity=("installation", 1),
            at=clock.now(),
            detail={"epoch": epoch, "note": options["note"][:500]},
        )
        self.stdout.write(f"Recorded. Webhooks are in epoch {epoch} from now on.")
