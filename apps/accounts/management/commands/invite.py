"""The platform's operator asks somebody into a tenant: its first admin, or one after the last has gone."""

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
    help = (
        "Invite a person (by e-mail address) to a tenant (by its slug). They join when they accept."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument("email")
        parser.add_argument("--role", choices=Role.values, default=Role.ADMIN.value)

    def handle(self, *_: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug__iexact=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"No tenant has the slug {options['tenant']}.")
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
            self.stdout.write(f"Hand this link over, it works once: {invitations.link_of(key)}")
        else:
            self.stdout.write(f"The invitation is sent to {options['email']}.")
