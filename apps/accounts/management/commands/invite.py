"""Invites a user to a tenant from the command line, for example its first admin."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from apps.accounts import invitations
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.core import clock
from apps.core.errors import DomainError
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant


class Command(BaseCommand):
    help = "Invite an e-mail address to a tenant. The user becomes a member when they accept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="the tenant's slug")
        parser.add_argument("email", help="the address to invite")
        parser.add_argument(
            "--role",
            choices=Role.values,
            default=Role.ADMIN.value,
            help="default: %(default)s",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug__iexact=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']}.")
        try:
            validate_email(options["email"])
            with acting_in(tenant):
                _invitation, key = invitations.invite(
                    email=options["email"],
                    role=options["role"],
                    is_limited=False,
                    actor=Actor.system("manage"),
                    at=clock.now(),
                )
        except (DomainError, ValidationError) as error:
            raise CommandError(str(error)) from error
        if key:
            self.stdout.write(
                f"Hand over this link, it works once: {invitations.invitation_link(key)}"
            )
        else:
            self.stdout.write(f"The invitation will be sent to {options['email']}.")
