"""For somebody who has forgotten their password where no mail is configured: a link that sets a new one."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts import resetting
from apps.accounts.models import User
from apps.accounts.people import account_name
from apps.authorization.actors import Actor
from apps.core import clock


class Command(BaseCommand):
    """Run by the platform's operator on the server, who makes sure whom they give the link to."""

    help = "Print a link that sets a person's password once, within an hour. Second factors stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="what the person signs in with")

    def handle(self, *_: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=account_name(options["email"])).first()
        if user is None or not user.is_active:
            raise CommandError(f"Nobody here signs in as {options['email']}.")
        link = resetting.operator_link(
            user=user, actor=Actor.system("reset_password"), at=clock.now()
        )
        self.stdout.write(link)
