"""Rollover of the certificate authority without losing agents: stage the next, promote it, retire the old one.

Staging is ``stage_authority`` and needs the signer; promoting and retiring do not.
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

_MAX_LISTED = 20


@dataclass(frozen=True)
class BlockingAgent:
    """An agent that would lose access in this step."""

    tenant: str
    agent_id: UUID
    agent: str
    reason: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.agent}: {self.reason}"


@dataclass(frozen=True)
class AuthorityStatus:
    """One authority, and how many agents use it."""

    stage: str
    fingerprint: str
    not_after: datetime
    agents: int


def agents_without_next_authority(at: datetime) -> list[BlockingAgent]:
    """Active agents that have not reported the next authority as trusted. Raises AuthorityStageWrong."""
    upcoming = _require_authority(
        AuthorityStage.NEXT, "no_next_authority", "Stage a next authority first."
    )
    blocking = []
    for tenant in Tenant.objects.filter(is_active=True).order_by("slug"):
        current = _newest_certificates(tenant, at)
        with acting_in(tenant):
            for agent in Agent.objects.filter(status=AgentStatus.ACTIVE).order_by("name"):
                # An agent whose certificate and grace period have expired must enroll again in any case.
                if agent.id in current and upcoming.fingerprint not in agent.trusted_authorities:
                    last = agent.last_heartbeat_at
                    reason = f"last heartbeat {last:%Y-%m-%d %H:%M}" if last else "no heartbeat yet"
                    blocking.append(BlockingAgent(tenant.slug, agent.id, agent.name, reason))
    return blocking


def agents_with_old_authority(at: datetime) -> list[BlockingAgent]:
    """Active agents whose newest certificate was signed by an old authority. Raises AuthorityStageWrong."""
    _require_authority(AuthorityStage.OLD, "no_old_authority", "There is no old authority.")
    old = set(
        CertificateAuthority.objects.filter(stage=AuthorityStage.OLD).values_list("pk", flat=True)
    )
    blocking = []
    for tenant in Tenant.objects.order_by("slug"):
        newest = _newest_certificates(tenant, at)
        with acting_in(tenant):
            for agent in Agent.objects.filter(status=AgentStatus.ACTIVE).order_by("name"):
                certificate = newest.get(agent.id)
                if certificate is not None and certificate.authority_id in old:
                    reason = f"certificate expires {certificate.not_after:%Y-%m-%d}"
                    blocking.append(BlockingAgent(tenant.slug, agent.id, agent.name, reason))
    return blocking


def promote_authority(*, force: bool = False, actor: Actor, at: datetime) -> CertificateAuthority:
    """Make the next authority the active one; the former one stays trusted.

    Raises AuthorityStageWrong; AuthorityInUse while some agents do not trust it yet, unless forced.
    Locks: both authorities.
    """
    with transaction.atomic():
        rows = {row.stage: row for row in CertificateAuthority.objects.select_for_update()}
        blocking = agents_without_next_authority(at)
        if blocking and not force:
            raise _in_use("do not trust the next authority yet", blocking)
        upcoming, active = rows[AuthorityStage.NEXT], rows[AuthorityStage.ACTIVE]
        active.stage = AuthorityStage.OLD
        active.save(update_fields=["stage"])
        upcoming.stage, upcoming.promoted_at = AuthorityStage.ACTIVE, at
        upcoming.save(update_fields=["stage", "promoted_at"])
        _audit("authority.promoted", upcoming, blocking, actor, at)
    return upcoming


def retire_authorities(*, force: bool = False, actor: Actor, at: datetime) -> int:
    """Retire old authorities: they are no longer trusted and their keys are erased. Returns the count.

    Raises AuthorityStageWrong; AuthorityInUse while some agents still depend on one, unless forced.
    """
    with transaction.atomic():
        rows = list(
            CertificateAuthority.objects.select_for_update().filter(stage=AuthorityStage.OLD)
        )
        blocking = agents_with_old_authority(at)
        if blocking and not force:
            raise _in_use("have certificates of the old authority", blocking)
        for row in rows:
            row.stage, row.retired_at, row.sealed_key = AuthorityStage.RETIRED, at, b""
            row.save(update_fields=["stage", "retired_at", "sealed_key"])
            _audit("authority.retired", row, blocking, actor, at)
    return len(rows)


def authority_statuses(at: datetime) -> list[AuthorityStatus]:
    """Every authority that is not retired, oldest first."""
    agent_counts: dict[UUID | None, int] = defaultdict(int)
    for tenant in Tenant.objects.all():
        for certificate in _newest_certificates(tenant, at).values():
            agent_counts[certificate.authority_id] += 1
    return [
        AuthorityStatus(
            row.stage,
            row.fingerprint,
            x509.load_pem_x509_certificate(row.certificate_pem.encode()).not_valid_after_utc,
            agent_counts[row.pk],
        )
        for row in CertificateAuthority.objects.exclude(stage=AuthorityStage.RETIRED).order_by(
            "created_at"
        )
    ]


def _newest_certificates(tenant: Tenant, at: datetime) -> dict[UUID, AgentCertificate]:
    """The newest renewable certificate of each agent."""
    rows = AgentCertificate.objects.filter(
        tenant=tenant, revoked_at=None, not_after__gt=at - RENEWAL_GRACE
    )
    return {row.agent_id: row for row in rows.order_by("issued_at")}


def _require_authority(stage: AuthorityStage, code: str, message: str) -> CertificateAuthority:
    row = CertificateAuthority.objects.filter(stage=stage).first()
    if row is None:
        raise AuthorityStageWrong(code, message)
    return row


def _in_use(problem: str, blocking: list[BlockingAgent]) -> AuthorityInUse:
    names = ", ".join(str(agent) for agent in blocking[:_MAX_LISTED])
    more = f" and {len(blocking) - _MAX_LISTED} more" if len(blocking) > _MAX_LISTED else ""
    return AuthorityInUse(
        message=f"{len(blocking)} agents {problem}: {names}{more}.",
        agents=[str(agent.agent_id) for agent in blocking],
    )


def _audit(
    action: str,
    row: CertificateAuthority,
    blocking: Iterable[BlockingAgent],
    actor: Actor,
    at: datetime,
) -> None:
    record_platform(
        action=action,
        actor=actor,
        entity=("authority", row.id),
        at=at,
        detail={
            "fingerprint": row.fingerprint,
            "blocking": [str(agent) for agent in blocking][:100],
        },
    )
