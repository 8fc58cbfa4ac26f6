"""Renewal of the agent's certificate, long before it expires."""

import logging
import random
from datetime import UTC, datetime

from agent.state import StateDir
from agent.transport.ingest_client import IngestClient
from agent.transport.tls import identity_pem, make_csr, make_key, own_certificate

log = logging.getLogger(__name__)

RENEWAL_SHARE, RENEWAL_SPREAD = 0.5, 0.1


class Renewal:
    """Renews at half of the certificate's lifetime, plus or minus a tenth of it: agents enrolled at the same time do
    not renew at the same time. The share is chosen at each start."""

    def __init__(self, state: StateDir, client: IngestClient, rng: random.Random) -> None:
        self._state = state
        self._client = client
        self._share = RENEWAL_SHARE + rng.uniform(-RENEWAL_SPREAD, RENEWAL_SPREAD)

    def due_at(self) -> datetime:
        """Time of the next renewal."""
        certificate = own_certificate(self._state.identity)
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return start + (end - start) * self._share

    def renew_if_due(self, at: datetime) -> bool:
        """Key and certificate are replaced in one step, so a crash at any time leaves a matching pair.

        Raises RequestRefused, ServerUnreachable; the current certificate then stays in use.
        """
        if at < self.due_at():
            return False
        key = make_key()
        certificate_pem = self._client.certificate(make_csr(key))
        self._state.write(self._state.identity.name, identity_pem(key, certificate_pem))
        end = own_certificate(self._state.identity).not_valid_after_utc
        log.info("certificate_renewed", extra={"not_after": end.isoformat()})
        return True


def certificate_expiry(state: StateDir) -> str:
    """End of the certificate's validity, marked when it has expired."""
    end = own_certificate(state.identity).not_valid_after_utc
    return f"{end.isoformat()}{' (expired)' if end < datetime.now(UTC) else ''}"
