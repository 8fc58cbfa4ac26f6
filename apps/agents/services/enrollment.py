"""How a host becomes an agent, stays one, and stops being one."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from django.conf import settings
from django.db import transaction

from agent.protocol.tokens import TokenContent
from apps.accounts.access_sessions import refuse_in_access_session
from apps.agents.choices import AgentStatus
from apps.agents.errors import AgentRevoked, CertificateRefused, RenewedTooOften, TokenRefused
from apps.agents.identity import AgentIdentity
from apps.agents.models import Agent, AgentCertificate, EnrollmentToken
from apps.agents.pki import (
    AgentPublicKey,
    fingerprint_of,
    issue_agent_certificate,
    serial_text,
    to_pem,
    vet_request,
)
from apps.agents.services.authority import active_authority, current_trust, open_authority
from apps.agents.tokens import TokenSecret, digest_of, make_secret, read_secret
from apps.audit.services import record, record_platform
from apps.authorization.actors import Actor
from apps.inventory.services.logins import may_approve
from apps.tenancy import acting_in
from apps.tenancy.context import require_tenant_id
from apps.tenancy.models import Tenant

TOKEN_LIFE = timedelta(minutes=10)
#: Certificates of one agent; it needs one in two weeks.
MOST_A_DAY = 20
_SEALING_KEY_BYTES = 32


@dataclass(frozen=True)
class IssuedToken:
    """An enrollment token's text, shown once."""

    text: str
    expires_at: datetime


@dataclass(frozen=True)
class IssuedCertificate:
    """What an agent gets back for its CSR."""

    agent_id: UUID
    tenant_id: UUID
    certificate_pem: str
    ca_pem: str
    not_after: datetime


def issue_enroll_token(*, agent: Agent, actor: Actor, at: datetime) -> IssuedToken:
    """A token that turns one host into this agent, once, within ten minutes. Earlier open tokens end. That host is
    given router logins only if the actor may approve where logins are sent, or somebody else approves it.

    Raises AgentRevoked.
    """
    refuse_in_access_session(actor)
    trust = current_trust(at=at)
    secret = make_secret(agent.tenant_id)
    with transaction.atomic():
        _lock_unrevoked(agent.id)
        EnrollmentToken.objects.filter(agent=agent, used_at=None).delete()
        token = EnrollmentToken.objects.create(
            agent=agent,
            digest=digest_of(secret),
            created_at=at,
            expires_at=at + TOKEN_LIFE,
            approves_host=may_approve(actor),
        )
        record(
            action="agent.enroll_token_issued",
            actor=actor,
            entity=("agent", agent.id),
            at=at,
            detail={
                "name": agent.name,
                "expires_at": token.expires_at.isoformat(),
                "approves_host": token.approves_host,
            },
        )
    text = TokenContent(
        settings.ISPVM_INGEST_URL,
        fingerprint_of(trust.active),
        secret,
        fingerprint_of(trust.next) if trust.next else "",
    ).text()
    return IssuedToken(text=text, expires_at=token.expires_at)


@dataclass(frozen=True)
class Application:
    """A host's wish to become an agent. ``token`` is None for what is no token; ``sealing_public_key`` is base64 of a
    raw X25519 key; ``source`` is the asker's address, for the audit log."""

    token: TokenSecret | None
    csr_pem: str
    agent_version: str = ""
    hostname: str = ""
    sealing_public_key: str = ""
    source: str = ""


def enroll_agent(*, token: str, at: datetime, **said: str) -> IssuedCertificate:
    """``enroll`` with the token as the host shows it; the rest as in ``Application``."""
    return enroll(Application(read_secret(token), **said), at=at)


def enroll(application: Application, *, at: datetime) -> IssuedCertificate:
    """Turn a token and a CSR into a certificate. Certificates that the agent had before end. For the signer.

    Raises TokenRefused (audited), CertificateRequestRefused (the token stays usable), SignerAway without the CA key.
    Of any number of racing askers with one token exactly one gets a certificate.
    """
    public_key = vet_request(application.csr_pem)
    host = _Host(
        version=bounded(application.agent_version, 50),
        name=bounded(application.hostname, 253),
        sealing_key=read_sealing_key(application.sealing_public_key),
    )
    try:
        asked = _vetted(application.token)
        with acting_in(asked.tenant_id):
            return _enroll(asked, public_key, host, at)
    except TokenRefused:
        record_platform(
            action="agent.enrollment_refused",
            actor=Actor("agent", "", host.name or "unknown"),
            entity=("enrollment", ""),
            at=at,
            detail={"source": bounded(application.source, 50)},
        )
        raise


@dataclass(frozen=True)
class _Host:
    """What the enrolling host says of itself."""

    version: str
    name: str
    sealing_key: bytes | None


def _vetted(asked: TokenSecret | None) -> TokenSecret:
    if asked is None or not Tenant.objects.filter(pk=asked.tenant_id, is_active=True).exists():
        raise TokenRefused
    return asked


def _enroll(
    asked: TokenSecret, public_key: AgentPublicKey, host: _Host, at: datetime
) -> IssuedCertificate:
    usable = EnrollmentToken.objects.filter(digest=asked.digest, used_at=None, expires_at__gt=at)
    # Compare-and-set: of fifty clients with one token, the row lock lets one through.
    if usable.update(used_at=at) != 1:
        raise TokenRefused
    token = EnrollmentToken.objects.get(digest=asked.digest)
    try:
        agent = _lock_unrevoked(token.agent_id)
    except AgentRevoked as error:
        raise TokenRefused from error
    AgentCertificate.objects.filter(
        tenant_id=asked.tenant_id, agent_id=agent.id, revoked_at=None
    ).update(revoked_at=at)
    issued, serial = _issue(agent.id, public_key, at)
    agent.status, agent.enrolled_at = AgentStatus.ACTIVE, at
    agent.version, agent.hostname = host.version, host.name
    agent.conflict_at = None
    agent.expiry_told, agent.boot_id, agent.boot_since = "", None, None
    agent.former_boots, agent.trusted_authorities = [], []
    # A new host has a new key; passwords sealed to the old one would be lost on it.
    agent.sealing_public_key = host.sealing_key
    if token.approves_host and host.sealing_key is not None:
        agent.approved_sealing_key, agent.host_approved_at = host.sealing_key, at
        agent.host_approved_by = {"kind": "enrollment_token", "id": str(token.id), "label": ""}
    agent.save(
        update_fields=[
            *("status", "enrolled_at", "version", "hostname", "sealing_public_key"),
            *("conflict_at", "expiry_told", "boot_id", "boot_since", "former_boots"),
            *("trusted_authorities", "approved_sealing_key", "host_approved_at"),
            "host_approved_by",
        ]
    )
    record(
        action="agent.enrolled",
        actor=Actor.agent(agent.id, agent.name),
        entity=("agent", agent.id),
        at=at,
        detail={
            "hostname": agent.hostname,
            "serial": serial,
            "host_approved": agent.is_host_approved,
        },
    )
    return issued


def renew_certificate(*, identity: AgentIdentity, csr_pem: str, at: datetime) -> IssuedCertificate:
    """A new certificate over a current one (or one expired for less than the grace); both work until they end.

    ``identity`` comes from ``authenticate_certificate(for_renewal=True)``.
    Raises CertificateRequestRefused, RenewedTooOften; CertificateRefused when the agent was revoked meanwhile or two
    hosts use its identity.
    """
    public_key = vet_request(csr_pem)
    with acting_in(identity.tenant_id):
        try:
            agent = _lock_unrevoked(identity.agent_id)
        except AgentRevoked as error:
            raise CertificateRefused("certificate_revoked", "This agent was revoked.") from error
        _refuse_renewal(agent, at)
        issued, serial = _issue(agent.id, public_key, at)
        record(
            action="agent.certificate_renewed",
            actor=Actor.agent(agent.id, agent.name),
            entity=("agent", agent.id),
            at=at,
            detail={"from": identity.serial, "serial": serial},
        )
    return issued


def _refuse_renewal(agent: Agent, at: datetime) -> None:
    """A doubtful identity ends with its certificate; a host that renews in a loop is stopped."""
    if agent.conflict_at is not None:
        raise CertificateRefused(
            "identity_conflict", "Two hosts use this identity; enroll one of them again."
        )
    recent = AgentCertificate.objects.filter(
        tenant_id=agent.tenant_id, agent_id=agent.id, issued_at__gt=at - timedelta(days=1)
    )
    if recent.count() >= MOST_A_DAY:
        raise RenewedTooOften(message="Renewed too often today; look at this host's clock.")


def revoke_agent(*, agent: Agent, reason: str = "", actor: Actor, at: datetime) -> Agent:
    """End an agent: its certificates open nothing within two seconds, its tokens at once. Idempotent.

    Locks: the agent, so that no renewal slips past.
    """
    with transaction.atomic():
        locked = Agent.objects.select_for_update().get(pk=agent.pk)
        if locked.status == AgentStatus.REVOKED:
            return locked
        ended = AgentCertificate.objects.filter(
            tenant_id=locked.tenant_id, agent_id=locked.id, revoked_at=None
        ).update(revoked_at=at)
        EnrollmentToken.objects.filter(agent=locked, used_at=None).delete()
        locked.status, locked.revoked_at = AgentStatus.REVOKED, at
        locked.save(update_fields=["status", "revoked_at"])
        record(
            action="agent.revoked",
            actor=actor,
            entity=("agent", locked.id),
            at=at,
            detail={"name": locked.name, "reason": reason, "certificates": ended},
        )
    return locked


def read_sealing_key(text: str) -> bytes | None:
    """The raw key of its base64 text; None when there is none or it is not one."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == _SEALING_KEY_BYTES else None


def _issue(
    agent_id: UUID, public_key: AgentPublicKey, at: datetime
) -> tuple[IssuedCertificate, str]:
    tenant_id = require_tenant_id()
    authority = active_authority(at=at)
    certificate = issue_agent_certificate(
        open_authority(authority),
        public_key=public_key,
        tenant_id=tenant_id,
        agent_id=agent_id,
        at=at,
    )
    row = AgentCertificate.objects.create(
        serial=serial_text(certificate),
        fingerprint=certificate.fingerprint(hashes.SHA256()),
        tenant_id=tenant_id,
        agent_id=agent_id,
        authority=authority,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        issued_at=at,
    )
    return (
        IssuedCertificate(
            agent_id=agent_id,
            tenant_id=tenant_id,
            certificate_pem=to_pem(certificate),
            ca_pem=authority.certificate_pem,
            not_after=row.not_after,
        ),
        row.serial,
    )


def _lock_unrevoked(agent_id: UUID) -> Agent:
    agent = Agent.objects.select_for_update().filter(pk=agent_id).first()
    if agent is None or agent.status == AgentStatus.REVOKED:
        raise AgentRevoked(message="This agent was revoked; make a new one.")
    return agent


def bounded(text: str, length: int) -> str:
    """Text that PostgreSQL takes, cut to size."""
    clean = text.encode("utf-8", "replace").decode().replace("\x00", "")
    return clean[:length]
