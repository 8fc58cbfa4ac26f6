"""Marks a user's e-mail address as verified, so that they can accept invitations to it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import User
from apps.accounts.users import verify_email
from apps.authorization.actors import Actor
from apps.core import clock


class Command(BaseCommand):
    """For installations without mail and identity providers. Verify first who controls the account."""

    help = "Mark a user's e-mail address as verified."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *_: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=options["email"], local_tenant=None).first()
        if user is None:
            raise CommandError(f"No account has the address {options['email']}.")
        verify_email(user=user, actor=Actor.system("verify_email"), at=clock.now())
        self.stdout.write(f"{user.email} is verified.")
