"""The platform's operator vouches that an address is its account's person's: then they may answer invitations to it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import User
from apps.accounts.people import verify_email
from apps.authorization.actors import Actor
from apps.core import clock


class Command(BaseCommand):
    """Where neither mail nor an identity provider proves addresses. Make sure first who knows the password."""

    help = "Note that a person's e-mail address is theirs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *_: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=options["email"], local_tenant=None).first()
        if user is None:
            raise CommandError(f"No account has the address {options['email']}.")
        verify_email(user=user, actor=Actor.system("verify_email"), at=clock.now())
        self.stdout.write(f"{user.email} is verified.")
