"""Changing the authority without losing an agent: tell the next one, promote it, retire the old one.

Staging is `stage_authority`; it needs the signer. These two sign nothing.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cryptography import x509
from django.db import transaction

from apps.agents.choices import AgentStatus, AuthorityStage
from apps.agents.errors import AuthorityInUse, AuthorityStageWrong
from apps.agents.identity import RENEWAL_GRACE
from apps.agents.models import Agent, AgentCertificate, CertificateAuthority
from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

_LISTED = 20


@dataclass(frozen=True)
class Hindrance:
    """An agent that a step would cut off."""

    tenant: str
    agent_id: UUID
    agent: str
    why: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.agent}: {self.why}"


@dataclass(frozen=True)
class AuthorityStatus:
    """One authority, and how many agents use it."""

    stage: str
    fingerprint: str
    not_after: datetime
    agents: int


def unaware_agents(at: datetime) -> list[Hindrance]:
    """Active agents that have not said that they trust the next authority. Raises AuthorityStageWrong."""
    upcoming = _at_stage(AuthorityStage.NEXT, "no_next_authority", "Stage a next authority first.")
    found = []
    for tenant in Tenant.objects.filter(is_active=True).order_by("slug"):
        current = _users_by_agent(tenant, at)
        with acting_in(tenant):
            for agent in Agent.objects.filter(status=AgentStatus.ACTIVE).order_by("name"):
                # One whose certificate and grace are over enrolls anew in any case.
                if agent.id in current and upcoming.fingerprint not in agent.trusted_authorities:
                    heard = agent.last_heartbeat_at
                    why = f"last heard {heard:%Y-%m-%d %H:%M}" if heard else "never heard"
                    found.append(Hindrance(tenant.slug, agent.id, agent.name, why))
    return found


def dependent_agents(at: datetime) -> list[Hindrance]:
    """Active agents whose newest certificate was signed by an old authority. Raises AuthorityStageWrong."""
    _at_stage(AuthorityStage.OLD, "no_old_authority", "There is no old authority.")
    old = set(
        CertificateAuthority.objects.filter(stage=AuthorityStage.OLD).values_list("pk", flat=True)
    )
    found = []
    for tenant in Tenant.objects.order_by("slug"):
        newest = _users_by_agent(tenant, at)
        with acting_in(tenant):
            for agent in Agent.objects.filter(status=AgentStatus.ACTIVE).order_by("name"):
                certificate = newest.get(agent.id)
                if certificate is not None and certificate.authority_id in old:
                    why = f"its certificate ends {certificate.not_after:%Y-%m-%d}"
                    found.append(Hindrance(tenant.slug, agent.id, agent.name, why))
    return found


def promote_authority(*, force: bool = False, actor: Actor, at: datetime) -> CertificateAuthority:
    """From now on the next authority signs; the former one stays trusted.

    Raises AuthorityStageWrong; AuthorityInUse while some agents do not trust it yet, unless forced.
    Locks: both authorities.
    """
    with transaction.atomic():
        rows = {row.stage: row for row in CertificateAuthority.objects.select_for_update()}
        cut_off = unaware_agents(at)
        if cut_off and not force:
            raise _in_use("do not trust the next authority yet", cut_off)
        upcoming, active = rows[AuthorityStage.NEXT], rows[AuthorityStage.ACTIVE]
        active.stage = AuthorityStage.OLD
        active.save(update_fields=["stage"])
        upcoming.stage, upcoming.promoted_at = AuthorityStage.ACTIVE, at
        upcoming.save(update_fields=["stage", "promoted_at"])
        _audit("authority.promoted", upcoming, cut_off, actor, at)
    return upcoming


def retire_authorities(*, force: bool = False, actor: Actor, at: datetime) -> int:
    """Old authorities are trusted by nobody from now on and their keys are erased; returns how many.

    Raises AuthorityStageWrong; AuthorityInUse while some agents still depend on one, unless forced.
    """
    with transaction.atomic():
        rows = list(
            CertificateAuthority.objects.select_for_update().filter(stage=AuthorityStage.OLD)
        )
        cut_off = dependent_agents(at)
        if cut_off and not force:
            raise _in_use("have certificates of the old authority", cut_off)
        for row in rows:
            row.stage, row.retired_at, row.sealed_key = AuthorityStage.RETIRED, at, b""
            row.save(update_fields=["stage", "retired_at", "sealed_key"])
            _audit("authority.retired", row, cut_off, actor, at)
    return len(rows)


def authority_statuses(at: datetime) -> list[AuthorityStatus]:
    """Every authority that is not retired, oldest first."""
    users: dict[UUID | None, int] = defaultdict(int)
    for tenant in Tenant.objects.all():
        for certificate in _users_by_agent(tenant, at).values():
            users[certificate.authority_id] += 1
    return [
        AuthorityStatus(
            row.stage,
            row.fingerprint,
            x509.load_pem_x509_certificate(row.certificate_pem.encode()).not_valid_after_utc,
            users[row.pk],
        )
        for row in CertificateAuthority.objects.exclude(stage=AuthorityStage.RETIRED).order_by(
            "created_at"
        )
    ]


def _users_by_agent(tenant: Tenant, at: datetime) -> dict[UUID, AgentCertificate]:
    """The newest certificate of each agent that can still be renewed."""
    rows = AgentCertificate.objects.filter(
        tenant=tenant, revoked_at=None, not_after__gt=at - RENEWAL_GRACE
    )
    return {row.agent_id: row for row in rows.order_by("issued_at")}


def _at_stage(stage: AuthorityStage, code: str, message: str) -> CertificateAuthority:
    row = CertificateAuthority.objects.filter(stage=stage).first()
    if row is None:
        raise AuthorityStageWrong(code, message)
    return row


def _in_use(what: str, cut_off: list[Hindrance]) -> AuthorityInUse:
    names = ", ".join(str(one) for one in cut_off[:_LISTED])
    more = f" and {len(cut_off) - _LISTED} more" if len(cut_off) > _LISTED else ""
    return AuthorityInUse(
        message=f"{len(cut_off)} agents {what}: {names}{more}.",
        agents=[str(one.agent_id) for one in cut_off],
    )


def _audit(
    action: str,
    row: CertificateAuthority,
    cut_off: Iterable[Hindrance],
    actor: Actor,
    at: datetime,
) -> None:
    record_platform(
        action=action,
        actor=actor,
        entity=("authority", row.id),
        at=at,
        detail={"fingerprint": row.fingerprint, "cut_off": [str(one) for one in cut_off][:100]},
    )
