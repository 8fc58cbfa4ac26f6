from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import PlatformOperator, User
from apps.accounts.operators import OwnerNeeded, add_operator, remove_operator
from apps.authorization.actors import Actor
from apps.core import clock

ACTOR = Actor.system("manage")
ACTIONS = {"add": add_operator, "remove": remove_operator}


class Command(BaseCommand):
    help = "Add, remove or list platform operators. Needs DATABASE_OWNER_URL."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["add", "remove", "list"])
        parser.add_argument("email", nargs="?", help="of an existing account")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "list":
            for row in PlatformOperator.objects.select_related("user").order_by("user__email"):
                self.stdout.write(f"{row.user.email}  since {row.since:%Y-%m-%d}")
            return
        user = User.objects.filter(email__iexact=options["email"] or "").first()
        if user is None:
            raise CommandError("No account has this e-mail address.")
        try:
            changed = ACTIONS[options["action"]](user=user, actor=ACTOR, at=clock.now())
        except OwnerNeeded as refusal:
            raise CommandError(refusal.message) from refusal
        self.stdout.write(
            "Done: takes effect on the next request." if changed else "Nothing to do."
        )
