"""Enrollment, certificate renewal and revocation of agents."""

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
from apps.agents.errors import AgentRevoked, CertificateRefused, TokenRefused, TooManyRenewals
from apps.agents.identity import AgentIdentity
from apps.agents.models import Agent, AgentCertificate, EnrollmentToken
from apps.agents.pki import (
    AgentPublicKey,
    fingerprint_of,
    issue_agent_certificate,
    serial_text,
    to_pem,
    validate_csr,
)
from apps.agents.services.authority import active_authority, current_trust, open_authority
from apps.agents.tokens import TokenSecret, digest_of, generate_secret, parse_secret
from apps.audit.services import record, record_platform
from apps.authorization.actors import Actor
from apps.inventory.services.login_approvals import may_approve
from apps.tenancy import acting_in
from apps.tenancy.context import require_tenant_id
from apps.tenancy.models import Tenant

TOKEN_LIFETIME = timedelta(minutes=10)
#: Limit of certificates per agent; normal is one in two weeks.
MAX_CERTIFICATES_PER_DAY = 20
_SEALING_KEY_BYTES = 32


@dataclass(frozen=True)
class IssuedToken:
    """An enrollment token's text, shown once."""

    text: str
    expires_at: datetime


@dataclass(frozen=True)
class IssuedCertificate:
    """The response to a CSR."""

    agent_id: UUID
    tenant_id: UUID
    certificate_pem: str
    ca_pem: str
    not_after: datetime


def issue_enroll_token(*, agent: Agent, actor: Actor, at: datetime) -> IssuedToken:
    """Issue a one-time enrollment token, valid for ten minutes. Earlier unused tokens become invalid. The host receives
    router credentials only if the actor may approve hosts, or after a separate approval.

    Raises AgentRevoked.
    """
    refuse_in_access_session(actor)
    trust = current_trust(at=at)
    secret = generate_secret(agent.tenant_id)
    with transaction.atomic():
        _lock_unrevoked(agent.id)
        EnrollmentToken.objects.filter(agent=agent, used_at=None).delete()
        token = EnrollmentToken.objects.create(
            agent=agent,
            digest=digest_of(secret),
            created_at=at,
            expires_at=at + TOKEN_LIFETIME,
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
class EnrollmentRequest:
    """A host's request to enroll. ``token`` is None if it cannot be parsed; ``sealing_public_key`` is a raw X25519 key
    in base64; ``source`` is the client's address, for the audit log."""

    token: TokenSecret | None
    csr_pem: str
    agent_version: str = ""
    hostname: str = ""
    sealing_public_key: str = ""
    source: str = ""


def enroll_agent(*, token: str, at: datetime, **fields: str) -> IssuedCertificate:
    """``enroll`` with the token's text; the other fields as in ``EnrollmentRequest``."""
    return enroll(EnrollmentRequest(parse_secret(token), **fields), at=at)


def enroll(request: EnrollmentRequest, *, at: datetime) -> IssuedCertificate:
    """Issue a certificate for a token and a CSR. Earlier certificates of the agent are revoked. For the signer.

    Raises TokenRefused (audited), CertificateRequestRefused (the token stays usable), SignerUnavailable.
    Of concurrent requests with one token exactly one gets a certificate.
    """
    public_key = validate_csr(request.csr_pem)
    host = _Host(
        version=bounded(request.agent_version, 50),
        name=bounded(request.hostname, 253),
        sealing_key=read_sealing_key(request.sealing_public_key),
    )
    try:
        token = _validate_token(request.token)
        with acting_in(token.tenant_id):
            return _enroll(token, public_key, host, at)
    except TokenRefused:
        record_platform(
            action="agent.enrollment_refused",
            actor=Actor("agent", "", host.name or "unknown"),
            entity=("enrollment", ""),
            at=at,
            detail={"source": bounded(request.source, 50)},
        )
        raise


@dataclass(frozen=True)
class _Host:
    """What the enrolling host reports about itself."""

    version: str
    name: str
    sealing_key: bytes | None


def _validate_token(secret: TokenSecret | None) -> TokenSecret:
    if secret is None or not Tenant.objects.filter(pk=secret.tenant_id, is_active=True).exists():
        raise TokenRefused
    return secret


def _enroll(
    secret: TokenSecret, public_key: AgentPublicKey, host: _Host, at: datetime
) -> IssuedCertificate:
    usable = EnrollmentToken.objects.filter(digest=secret.digest, used_at=None, expires_at__gt=at)
    # Compare-and-set: of concurrent requests with one token, exactly one updates the row.
    if usable.update(used_at=at) != 1:
        raise TokenRefused
    token = EnrollmentToken.objects.get(digest=secret.digest)
    try:
        agent = _lock_unrevoked(token.agent_id)
    except AgentRevoked as error:
        raise TokenRefused from error
    AgentCertificate.objects.filter(
        tenant_id=secret.tenant_id, agent_id=agent.id, revoked_at=None
    ).update(revoked_at=at)
    issued, serial = _issue(agent.id, public_key, at)
    agent.status, agent.enrolled_at = AgentStatus.ACTIVE, at
    agent.version, agent.hostname = host.version, host.name
    agent.conflict_at = None
    agent.expiry_notified, agent.boot_id, agent.boot_first_seen_at = "", None, None
    agent.previous_boots, agent.trusted_authorities = [], []
    # A new host has a new key and cannot open passwords sealed to the old one.
    agent.sealing_public_key = host.sealing_key
    if token.approves_host and host.sealing_key is not None:
        agent.approved_sealing_key, agent.host_approved_at = host.sealing_key, at
        agent.host_approved_by = {"kind": "enrollment_token", "id": str(token.id), "label": ""}
    agent.save(
        update_fields=[
            *("status", "enrolled_at", "version", "hostname", "sealing_public_key"),
            *("conflict_at", "expiry_notified", "boot_id", "boot_first_seen_at", "previous_boots"),
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
    """Renew a certificate that is valid (or expired within the grace period); both work until they expire.

    ``identity`` comes from ``authenticate_certificate(for_renewal=True)``.
    Raises CertificateRequestRefused, TooManyRenewals; CertificateRefused when the agent was revoked or two hosts
    use its identity.
    """
    public_key = validate_csr(csr_pem)
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
    """Refuse renewal of a cloned identity, and of a host that renews in a loop."""
    if agent.conflict_at is not None:
        raise CertificateRefused(
            "identity_conflict", "Two hosts use this identity; enroll one of them again."
        )
    recent = AgentCertificate.objects.filter(
        tenant_id=agent.tenant_id, agent_id=agent.id, issued_at__gt=at - timedelta(days=1)
    )
    if recent.count() >= MAX_CERTIFICATES_PER_DAY:
        raise TooManyRenewals(message="Renewed too often today; check this host's clock.")


def revoke_agent(*, agent: Agent, reason: str = "", actor: Actor, at: datetime) -> Agent:
    """Revoke an agent: its certificates are refused within two seconds, its tokens at once. Idempotent.

    Locks: the agent, so that no concurrent renewal succeeds.
    """
    with transaction.atomic():
        locked = Agent.objects.select_for_update().get(pk=agent.pk)
        if locked.status == AgentStatus.REVOKED:
            return locked
        revoked_count = AgentCertificate.objects.filter(
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
            detail={"name": locked.name, "reason": reason, "certificates": revoked_count},
        )
    return locked


def read_sealing_key(text: str) -> bytes | None:
    """Decode a base64 sealing key; None when empty or invalid."""
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
        raise AgentRevoked(message="This agent was revoked; create a new one.")
    return agent


def bounded(text: str, length: int) -> str:
    """Text that PostgreSQL accepts, truncated."""
    clean = text.encode("utf-8", "replace").decode().replace("\x00", "")
    return clean[:length]
