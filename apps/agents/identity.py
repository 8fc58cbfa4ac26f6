"""Who is on the other end of an mTLS connection."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from uuid import UUID

import structlog
from django.db import DatabaseError

from apps.agents.choices import AuthorityStage
from apps.agents.errors import CertificateRefused, CertificatesUnreadable
from apps.agents.models import AgentCertificate
from apps.agents.pki import PresentedCertificate, read_agent_certificate
from apps.authorization.actors import Actor

log = structlog.get_logger(__name__)

#: For this long after its end a certificate that was not revoked may still be renewed, and nothing else.
RENEWAL_GRACE = timedelta(days=30)
#: A revocation acts on every process, on open connections too, within this time.
CACHE_LIFE = timedelta(seconds=2)
_CACHE_SIZE = 10_000


@dataclass(frozen=True)
class AgentIdentity:
    """The one source of tenant and agent on the ingest listener."""

    tenant_id: UUID
    agent_id: UUID
    serial: str
    not_after: datetime
    not_before: datetime | None = None

    @property
    def actor(self) -> Actor:
        """The agent as audit names it."""
        return Actor.agent(self.agent_id, f"agent {self.agent_id}")


@dataclass(frozen=True)
class _Seen:
    presented: PresentedCertificate
    checked_at: datetime


class _Cache:
    """Certificates that the database has vouched for in the last two seconds; only good answers are kept."""

    def __init__(self) -> None:
        self._rows: OrderedDict[bytes, _Seen] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, der: bytes, at: datetime) -> PresentedCertificate | None:
        with self._lock:
            seen = self._rows.get(der)
        if seen is None or not timedelta(0) <= at - seen.checked_at < CACHE_LIFE:
            return None
        return seen.presented

    def put(self, der: bytes, presented: PresentedCertificate, at: datetime) -> None:
        with self._lock:
            self._rows[der] = _Seen(presented, at)
            self._rows.move_to_end(der)
            while len(self._rows) > _CACHE_SIZE:
                self._rows.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._rows.clear()


_cache = _Cache()


def authenticate_certificate(
    *, der: bytes, at: datetime, for_renewal: bool = False, afresh: bool = False
) -> AgentIdentity:
    """The agent that this client certificate belongs to; TLS has shown that the caller has its key.

    ``afresh`` asks the database although it was asked a moment ago.

    Raises CertificateMissing for what is no certificate; CertificateRefused with ``certificate_wrong_purpose``,
    ``certificate_unknown``, ``certificate_revoked``, ``certificate_not_yet_valid`` or ``certificate_expired``.
    A database that does not answer raises CertificatesUnreadable: closed, not open.
    """
    presented = None if afresh else _cache.get(der, at)
    if presented is None:
        presented = read_agent_certificate(der)
        try:
            _look_up(presented)
        except DatabaseError as error:
            log.warning("certificates_unreadable", error=type(error).__name__)
            raise CertificatesUnreadable(
                message="The server cannot look up certificates now; send the same again."
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


def forget_authenticated() -> None:
    """Empty this process's cache."""
    _cache.clear()


def _look_up(presented: PresentedCertificate) -> None:
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
        raise CertificateRefused("certificate_unknown", "The authority of this certificate ended.")
    if not row.tenant.is_active:
        raise CertificateRefused("certificate_revoked", "This tenant is suspended.")


def _check_time(presented: PresentedCertificate, at: datetime, *, for_renewal: bool) -> None:
    if at < presented.not_before:
        raise CertificateRefused("certificate_not_yet_valid", "This certificate is not valid yet.")
    end = presented.not_after + (RENEWAL_GRACE if for_renewal else timedelta(0))
    if at >= end:
        raise CertificateRefused("certificate_expired", "This certificate has expired.")
