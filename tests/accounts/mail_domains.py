"""Accepted mail domains of the fixture tenants."""

from apps.accounts.mail_domains import set_mail_domains
from apps.authorization.actors import Actor
from apps.core import clock
from apps.tenancy.models import Tenant


def accept(slug: str, *domains: str) -> None:
    set_mail_domains(
        tenant=Tenant.objects.get(slug=slug),
        domains=domains,
        actor=Actor.system("test"),
        at=clock.now(),
    )
