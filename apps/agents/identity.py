"""Authenticating agents by their client certificate (mTLS)."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from uuid import UUID

import structlog
from django.db import DatabaseError

from apps.agents.choices import AuthorityStage
from apps.agents.errors import CertificateLookupFailed, CertificateRefused
from apps.agents.models import AgentCertificate
from apps.agents.pki import PresentedCertificate, read_agent_certificate
from apps.authorization.actors import Actor

log = structlog.get_logger(__name__)

#: How long after its expiry an unrevoked certificate may still be renewed, and nothing else.
RENEWAL_GRACE = timedelta(days=30)
#: A revocation takes effect on every process, on open connections too, within this time.
CACHE_TTL = timedelta(seconds=2)
_CACHE_SIZE = 10_000


@dataclass(frozen=True)
class AgentIdentity:
    """Tenant and agent of a request on the ingest listener; there is no other source."""

    tenant_id: UUID
    agent_id: UUID
    serial: str
    not_after: datetime
    not_before: datetime | None = None

    @property
    def actor(self) -> Actor:
        """The agent as actor in the audit log."""
        return Actor.agent(self.agent_id, f"agent {self.agent_id}")


@dataclass(frozen=True)
class _CacheEntry:
    presented: PresentedCertificate
    checked_at: datetime


class _Cache:
    """Certificates validated against the database in the last two seconds; only valid ones are cached."""

    def __init__(self) -> None:
        self._rows: OrderedDict[bytes, _CacheEntry] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, der: bytes, at: datetime) -> PresentedCertificate | None:
        with self._lock:
            entry = self._rows.get(der)
        if entry is None or not timedelta(0) <= at - entry.checked_at < CACHE_TTL:
            return None
        return entry.presented

    def put(self, der: bytes, presented: PresentedCertificate, at: datetime) -> None:
        with self._lock:
            self._rows[der] = _CacheEntry(presented, at)
            self._rows.move_to_end(der)
            while len(self._rows) > _CACHE_SIZE:
                self._rows.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._rows.clear()


_cache = _Cache()


def authenticate_certificate(
    *, der: bytes, at: datetime, for_renewal: bool = False, skip_cache: bool = False
) -> AgentIdentity:
    """The agent of this client certificate; TLS has verified that the caller has its key.

    ``skip_cache`` checks the database again.

    Raises CertificateMissing for data that is not a certificate; CertificateRefused with ``certificate_wrong_purpose``,
    ``certificate_unknown``, ``certificate_revoked``, ``certificate_not_yet_valid`` or ``certificate_expired``.
    Raises CertificateLookupFailed when the database does not answer.
    """
    presented = None if skip_cache else _cache.get(der, at)
    if presented is None:
        presented = read_agent_certificate(der)
        try:
            _check_database(presented)
        except DatabaseError as error:
            log.warning("certificate_lookup_failed", error=type(error).__name__)
            raise CertificateLookupFailed(
                message="Certificates cannot be checked now; retry the same request."
            ) from error
        _cache.put(der, presented, at)
    _check_time(presented, at, for_renewal=for_renewal)
    return AgentIdentity(
        tenant_id=presented.tenant_id,
        agent_id=presented.agent_id,
        serial=presented.serial,
        not_after=presented.not_after,
        not_before=presented.not_before,
    )


def clear_certificate_cache() -> None:
    """Empty this process's cache."""
    _cache.clear()


def _check_database(presented: PresentedCertificate) -> None:
    row = (
        AgentCertificate.objects.select_related("tenant", "authority")
        .filter(serial=presented.serial)
        .first()
    )
    if (
        row is None
        or not compare_digest(bytes(row.fingerprint), presented.fingerprint)
        or (row.tenant_id, row.agent_id) != (presented.tenant_id, presented.agent_id)
    ):
        raise CertificateRefused("certificate_unknown", "This certificate was not issued here.")
    if row.revoked_at is not None:
        raise CertificateRefused("certificate_revoked", "This certificate was revoked.")
    if row.authority is not None and row.authority.stage == AuthorityStage.RETIRED:
        raise CertificateRefused(
            "certificate_unknown", "The authority of this certificate was retired."
        )
    if not row.tenant.is_active:
        raise CertificateRefused("certificate_revoked", "This tenant is suspended.")


def _check_time(presented: PresentedCertificate, at: datetime, *, for_renewal: bool) -> None:
    if at < presented.not_before:
        raise CertificateRefused("certificate_not_yet_valid", "This certificate is not valid yet.")
    end = presented.not_after + (RENEWAL_GRACE if for_renewal else timedelta(0))
    if at >= end:
        raise CertificateRefused("certificate_expired", "This certificate has expired.")
