from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.actors import Actor
from apps.accounts.models import PlatformOperator, User
from apps.audit.services import record_platform
from apps.core import clock

ACTOR = Actor.system("manage")
ACTIONS = {"add": "platform_operator.made", "remove": "platform_operator.ended"}


class Command(BaseCommand):
    help = "Make a person a platform operator, or end it. Needs the owner's address (DATABASE_OWNER_URL)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", choices=["add", "remove", "list"])
        parser.add_argument("email", nargs="?", help="of somebody who can sign in")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        if options["act"] == "list":
            for row in PlatformOperator.objects.select_related("user").order_by("user__email"):
                self.stdout.write(f"{row.user.email}  since {row.since:%Y-%m-%d}")
            return
        if "owner" not in settings.DATABASES:
            raise CommandError("Only the database's owner may: set DATABASE_OWNER_URL.")
        user = User.objects.filter(email__iexact=options["email"] or "").first()
        if user is None:
            raise CommandError("There is nobody with this e-mail address.")
        rows = PlatformOperator.objects.using("owner")
        is_one = rows.filter(pk=user.pk).exists()
        if is_one == (options["act"] == "add"):
            self.stdout.write("Nothing to do.")
            return
        at = clock.now()
        # Written first, by the role that can only add to the log: never an operator without a record.
        record_platform(
            action=ACTIONS[options["act"]],
            actor=ACTOR,
            entity=("user", user.pk),
            at=at,
            detail={"email": user.email},
        )
        if options["act"] == "add":
            rows.create(user_id=user.pk, since=at)
        else:
            rows.filter(pk=user.pk).delete()
        self.stdout.write("Done: it holds from the next request on.")
