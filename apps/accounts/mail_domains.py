"""Mail domains of a tenant, accepted by platform operators. Its identity providers may sign in no other addresses."""

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
_MAX_LENGTH = 253


def set_mail_domains(
    *, tenant: Tenant, domains: Collection[str], actor: Actor, at: datetime
) -> list[MailDomain]:
    """Replace the tenant's accepted mail domains; takes effect on the next sign-in. Idempotent.

    Each change is recorded in the tenant's audit log and in the platform's. Raises MailDomainInvalid.
    """
    requested = {normalize_domain(domain) for domain in domains}
    if len(requested) > MAX_DOMAINS:
        raise MailDomainInvalid(message=f"A tenant can have at most {MAX_DOMAINS} mail domains.")
    with acting_in(tenant), transaction.atomic():
        Tenant.objects.select_for_update().get(pk=tenant.pk)
        current = set(MailDomain.objects.values_list("domain", flat=True))
        for domain in sorted(requested - current):
            MailDomain.objects.create(domain=domain, accepted_by=actor.as_dict(), accepted_at=at)
            _record("mail_domain.accepted", tenant, domain, actor, at)
        for domain in sorted(current - requested):
            MailDomain.objects.filter(domain=domain).delete()
            _record("mail_domain.withdrawn", tenant, domain, actor, at)
        return list(MailDomain.objects.all())


def mail_domains_of(tenant: Tenant) -> list[MailDomain]:
    """The tenant's accepted mail domains, sorted."""
    with acting_in(tenant):
        return list(MailDomain.objects.all())


def is_accepted(tenant: Tenant, email: str) -> bool:
    """Whether the address is in an accepted mail domain of the tenant."""
    try:
        domain = normalize_domain(email.rpartition("@")[2])
    except MailDomainInvalid:
        return False
    with acting_in(tenant):
        return MailDomain.objects.filter(domain=domain).exists()


def normalize_domain(text: str) -> str:
    """The normalized form of a mail domain, for comparison. Raises MailDomainInvalid."""
    try:
        domain = text.strip().rstrip(".").lower().encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    if len(domain) > _MAX_LENGTH or not _DOMAIN.fullmatch(domain):
        raise MailDomainInvalid(message=f"{text[:100]!r} is not a mail domain like example.net.")
    return domain


def _record(action: str, tenant: Tenant, domain: str, actor: Actor, at: datetime) -> None:
    detail = {"domain": domain}
    entity = ("tenant", tenant.pk)
    record(action=action, actor=actor, entity=entity, at=at, detail=detail)
    record_platform(
        action=action, actor=actor, entity=entity, at=at, detail={**detail, "slug": tenant.slug}
    )
