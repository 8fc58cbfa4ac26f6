"""Lists, accepts or withdraws a tenant's mail domains."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.errors import MailDomainInvalid
from apps.accounts.mail_domains import mail_domains_of, normalize_domain, set_mail_domains
from apps.authorization.actors import Actor
from apps.core import clock
from apps.tenancy.models import Tenant


class Command(BaseCommand):
    """Run by the operator on the server."""

    help = "Accept, withdraw or list a tenant's mail domains. Its identity providers sign in no other addresses."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["accept", "withdraw", "list"])
        parser.add_argument("tenant", help="the tenant's slug")
        parser.add_argument("domains", nargs="*", help="domains, such as example.net")

    def handle(self, *_: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug__iexact=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']}.")
        rows = mail_domains_of(tenant)
        if options["action"] != "list":
            try:
                domains = {normalize_domain(domain) for domain in options["domains"]}
                current = {row.domain for row in rows}
                updated = current | domains if options["action"] == "accept" else current - domains
                rows = set_mail_domains(
                    tenant=tenant, domains=updated, actor=Actor.system("manage"), at=clock.now()
                )
            except MailDomainInvalid as error:
                raise CommandError(error.message) from error
        for row in rows:
            self.stdout.write(f"{row.domain}  since {row.accepted_at:%Y-%m-%d}")
