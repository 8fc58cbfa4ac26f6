"""Mail domains of a tenant: accepted by a platform operator, and all that its identity providers may speak for."""

import re
from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from apps.accounts.errors import MailDomainInvalid
from apps.accounts.models import MailDomain
from apps.audit.services import record, record_platform
from apps.authorization.actors import Actor
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

MAX_DOMAINS = 100
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
_LONGEST = 253


def set_mail_domains(
    *, tenant: Tenant, domains: Collection[str], actor: Actor, at: datetime
) -> list[MailDomain]:
    """Make these the tenant's accepted mail domains, and no others; acts on the next sign-in. Idempotent.

    Each that comes or goes is written to the tenant's audit log and to the platform's. Raises MailDomainInvalid.
    """
    wanted = {normalize_domain(domain) for domain in domains}
    if len(wanted) > MAX_DOMAINS:
        raise MailDomainInvalid(message=f"A tenant has {MAX_DOMAINS} mail domains at most.")
    with acting_in(tenant), transaction.atomic():
        Tenant.objects.select_for_update().get(pk=tenant.pk)
        known = set(MailDomain.objects.values_list("domain", flat=True))
        for domain in sorted(wanted - known):
            MailDomain.objects.create(domain=domain, accepted_by=actor.as_dict(), accepted_at=at)
            _record("mail_domain.accepted", tenant, domain, actor, at)
        for domain in sorted(known - wanted):
            MailDomain.objects.filter(domain=domain).delete()
            _record("mail_domain.withdrawn", tenant, domain, actor, at)
        return list(MailDomain.objects.all())


def mail_domains_of(tenant: Tenant) -> list[MailDomain]:
    """The tenant's accepted mail domains, in order."""
    with acting_in(tenant):
        return list(MailDomain.objects.all())


def is_accepted(tenant: Tenant, email: str) -> bool:
    """Whether this address is of a mail domain that was accepted for the tenant."""
    try:
        domain = normalize_domain(email.rpartition("@")[2])
    except MailDomainInvalid:
        return False
    with acting_in(tenant):
        return MailDomain.objects.filter(domain=domain).exists()


def normalize_domain(text: str) -> str:
    """A mail domain as it is compared. Raises MailDomainInvalid."""
    try:
        domain = text.strip().rstrip(".").lower().encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    if len(domain) > _LONGEST or not _DOMAIN.fullmatch(domain):
        raise MailDomainInvalid(message=f"{text[:100]!r} is no mail domain like example.net.")
    return domain


def _record(action: str, tenant: Tenant, domain: str, actor: Actor, at: datetime) -> None:
    detail = {"domain": domain}
    entity = ("tenant", tenant.pk)
    record(action=action, actor=actor, entity=entity, at=at, detail=detail)
    record_platform(
        action=action, actor=actor, entity=entity, at=at, detail={**detail, "slug": tenant.slug}
    )
