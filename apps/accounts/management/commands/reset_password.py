"""Creates a password reset link, for installations without mail."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts import password_reset
from apps.accounts.models import User
from apps.accounts.users import account_name
from apps.authorization.actors import Actor
from apps.core import clock


class Command(BaseCommand):
    """Run by the platform operator on the server, after verifying the user's identity."""

    help = "Print a link that sets a user's password once, within an hour. Second factors are kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the user's login name")

    def handle(self, *_: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=account_name(options["email"])).first()
        if user is None or not user.is_active:
            raise CommandError(f"No active account has the login name {options['email']}.")
        link = password_reset.operator_link(
            user=user, actor=Actor.system("reset_password"), at=clock.now()
        )
        self.stdout.write(link)
