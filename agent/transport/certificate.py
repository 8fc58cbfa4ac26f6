"""Renewing the agent's certificate long before it ends."""

import logging
import random
from datetime import UTC, datetime

from agent.state import StateDir
from agent.transport.server import Lane
from agent.transport.tls import identity_pem, make_key, make_request, own_certificate

log = logging.getLogger(__name__)

HALF, SPREAD = 0.5, 0.1


class Renewal:
    """Renews at half of the certificate's life, give or take a tenth of it: agents enrolled together do not renew
    together. The share is drawn once per start."""

    def __init__(self, state: StateDir, lane: Lane, rng: random.Random) -> None:
        self._state = state
        self._lane = lane
        self._share = HALF + rng.uniform(-SPREAD, SPREAD)

    def due_at(self) -> datetime:
        """When the certificate in use should be replaced."""
        certificate = own_certificate(self._state.identity)
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return begin + (end - begin) * self._share

    def renew_if_due(self, at: datetime) -> bool:
        """Key and certificate are replaced in one step, so a crash at any moment leaves a pair that fits.

        Raises Refused, ServerUnreachable; the current certificate then stays in use.
        """
        if at < self.due_at():
            return False
        key = make_key()
        certificate_pem = self._lane.certificate(make_request(key))
        self._state.write(self._state.identity.name, identity_pem(key, certificate_pem))
        end = own_certificate(self._state.identity).not_valid_after_utc
        log.info("certificate renewed", extra={"not_after": end.isoformat()})
        return True


def certificate_end(state: StateDir) -> str:
    """Until when the certificate is good, and whether it has ended."""
    end = own_certificate(state.identity).not_valid_after_utc
    return f"{end.isoformat()}{' (ended)' if end < datetime.now(UTC) else ''}"
