"""Removes all second factors of a user who lost them, and ends their sessions."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts import second_factor, sessions
from apps.accounts.models import User
from apps.authorization.actors import Actor
from apps.core import clock


class Command(BaseCommand):
    """Run by the platform operator on the server. The password is not changed."""

    help = "Remove all second factors of a user (by e-mail address) and end their sessions."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *_: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=options["email"]).first()
        if user is None:
            raise CommandError(f"No account has the address {options['email']}.")
        now = clock.now()
        count = second_factor.remove_all(user, at=now)
        actor = Actor.system("reset_second_factors")
        ended = sessions.end_other_sessions(user=user, keep=None, actor=actor, at=now)
        self.stdout.write(f"{user.email}: {count} factors removed, {ended} sessions ended.")
