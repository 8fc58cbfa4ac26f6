"""One device as the agent watches it: its poller, what was told of it, and the circuit that opens when it fails."""

import logging
import random
from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.errors import CertificateChanged, DeviceFailed, LoginHeld, LoginRefused
from agent.collectors.logins import CredentialMissing, Opened, open_logins
from agent.collectors.routeros.poll import RouterPoller
from agent.collectors.routeros.session import Login
from agent.normalize.configuration import KnownConfiguration
from agent.normalize.entities import Memory
from agent.normalize.metrics import failed_sample, login_samples, samples_of
from agent.normalize.readings import Reading
from agent.protocol.config import DeviceConfig
from agent.protocol.registry import Tier
from agent.samples import Findings, Happening, Sample, now

log = logging.getLogger(__name__)

#: Failures in a row after which monitoring counts as degraded. A refused login counts at once.
OPENS_AFTER = 2
MAX_WAIT_SECONDS = 30.0


class WatchedDevice:
    """Polled by one thread at a time; the scheduler sees to that."""

    def __init__(
        self, config: DeviceConfig, sealing_key: X25519PrivateKey, source_address: str
    ) -> None:
        self.config = config
        self.id = UUID(config["id"])
        self.failures = 0
        self.is_open = False
        self.said = "not polled yet"
        self._memory = Memory()
        self._known = KnownConfiguration()
        self._rng = random.Random(config["id"])  # noqa: S311  # spreads load, guards nothing
        self._sealing_key = sealing_key
        self._source = source_address
        self._poller: RouterPoller | None = None
        self._history: str | None = None
        #: The credential set that worked last: it is tried first.
        self._works: str | None = None
        #: SHA-256 of the TLS certificate of the first login that the router took, until the server pins it.
        self._accepted = ""
        #: The other certificate that was reported last.
        self._reported = ""

    def poll(self, tiers: Collection[Tier]) -> Findings:
        """Ask the device. A failure is a finding too; it never raises DeviceFailed."""
        patience = self.config["profile"]["command_timeout_s"]
        try:
            reading = self._reading(tiers, patience)
        except DeviceFailed as failure:
            return self._failed(failure)
        except Exception as error:
            # Whatever a router makes us stumble over costs this router's poll and no other's.
            log.exception("poll failed", extra={"device": self.config["name"]})
            self.close()
            return self._failed(
                DeviceFailed(f"The answer was not understood: {type(error).__name__}")
            )
        patch = self._memory.news(self.id, reading)
        samples = samples_of(self.id, reading, self.config["expected"])
        if Tier.MEDIUM in tiers or self.is_open:
            samples += self._login_samples(reading.at, is_held=False, is_certificate_ok=True)
        events = self._recovered(reading.at)
        if reading.configuration is not None:
            device_id = str(self.id)
            events += self._known.changes(device_id, reading.configuration, reading.at)
        return Findings(tuple(samples), events, patch)

    def wait_after_failure(self) -> float:
        """Seconds until the next try: doubling from the fast tier on, bounded, with jitter."""
        first = self.config["profile"]["fast_s"]
        wait = min(max(MAX_WAIT_SECONDS, first), first * float(1 << min(self.failures - 1, 8)))
        return wait * self._rng.uniform(0.8, 1.0)

    def forget_told(self) -> None:
        """Tell the server the whole inventory again with the next poll."""
        self._memory.forget()

    def take_over(self, config: DeviceConfig) -> None:
        """A changed config. Only another way to reach the device ends the session."""
        before, self.config = self.config, config
        ways = {(known["address"], known["port"], known["tls"]) for known in (before, config)}
        if len(ways) > 1:
            self._accepted = ""
        is_other = len(ways) > 1 or self._is_pinned_otherwise()
        if is_other or _credential_changed(before, config, self._sealing_key):
            self.close()

    def abort(self) -> None:
        """End a poll that another thread is waiting in."""
        poller = self._poller
        if poller is not None:
            poller.session.abort()

    def close(self) -> None:
        if self._poller is not None:
            self._history = self._poller.history
            self._poller.close()
            self._poller = None

    def _reading(self, tiers: Collection[Tier], patience: float) -> Reading:
        """By the open session, else by the first login that the router takes."""
        if self._poller is not None:
            return self._poller.poll(tiers, patience)
        if self.config.get("login_held"):
            raise LoginHeld
        logins = open_logins(self.config, self._sealing_key)
        if not logins:
            raise CredentialMissing
        logins.sort(key=lambda login: login.credential_set != self._works)
        refusal = LoginRefused("The router refused the login.")
        for login in logins:
            self._poller = RouterPoller(self._login(login), self._history)
            try:
                reading = self._poller.poll(tiers, patience)
            except LoginRefused as refused:
                self.close()
                refusal = refused
                continue
            self._remember(login)
            return reading
        raise refusal

    def _pinned(self) -> str:
        """The certificate that the router must present; empty: any, the first time."""
        if "tls_certificate" not in self.config:
            return ""  # a server of before has nobody to accept another one
        return self.config["tls_certificate"] or self._accepted

    def _is_pinned_otherwise(self) -> bool:
        """The open session is with a router that presented another certificate than the one that is pinned now."""
        pinned, poller = self._pinned(), self._poller
        return poller is not None and bool(pinned) and poller.session.certificate != pinned

    def _remember(self, login: Opened) -> None:
        self._reported = ""
        if self._poller is not None:
            self._accepted = self._poller.session.certificate
            self._memory.accepted_with(self._accepted)
        if login.credential_set and login.credential_set != self._works:
            self._works = login.credential_set
            self._memory.logged_in_by(login.credential_set)

    def _login(self, opened: Opened) -> Login:
        config = self.config
        return Login(
            address=config["address"],
            port=config["port"],
            use_tls=config["tls"],
            username=opened.username,
            password=opened.password,
            source_address=self._source,
            certificate=self._pinned(),
        )

    def _failed(self, failure: DeviceFailed) -> Findings:
        self.close()
        at = now()
        self.failures += 1
        self.said = str(failure)
        events: tuple[Happening, ...] = ()
        if not self.is_open and (failure.is_lasting or self.failures >= OPENS_AFTER):
            self.is_open = True
            events = (self._circuit_event(at, "open", str(failure)),)
            log.warning(
                "device cannot be polled",
                extra={"device": self.config["name"], "said": str(failure)},
            )
        if isinstance(failure, LoginHeld):
            return Findings(tuple(self._login_samples(at, is_held=True)), events)
        if isinstance(failure, CertificateChanged):
            return self._certificate_changed(failure, at, events)
        return Findings((failed_sample(str(self.id), at),), events)

    def _certificate_changed(
        self, failure: CertificateChanged, at: float, events: tuple[Happening, ...]
    ) -> Findings:
        """Told once for each certificate; with the next poll that succeeds the whole inventory is."""
        samples = tuple(self._login_samples(at, is_certificate_ok=False))
        if "tls_certificate" not in self.config or failure.presented == self._reported:
            return Findings(samples or (failed_sample(str(self.id), at),), events)
        self._reported = failure.presented
        self._memory.forget()
        device_id = str(self.id)
        payload = {"pinned": failure.pinned, "presented": failure.presented}
        event = Happening(
            at, "device.certificate.changed", "device", device_id, payload, "critical"
        )
        patch = {"devices": [{"id": device_id, "presented_certificate": failure.presented}]}
        return Findings(samples, (*events, event), patch)

    def _login_samples(
        self, at: float, *, is_held: bool | None = None, is_certificate_ok: bool | None = None
    ) -> list[Sample]:
        """Only what the server has said that it knows of: one of before would refuse the rest."""
        config = self.config
        knows_pins = "tls_certificate" in config and config["tls"] and bool(self._pinned())
        return login_samples(
            str(self.id),
            at,
            is_held=is_held if "login_held" in config else None,
            is_certificate_ok=is_certificate_ok if knows_pins else None,
        )

    def _recovered(self, at: float) -> tuple[Happening, ...]:
        self.failures, self.said = 0, "ok"
        if not self.is_open:
            return ()
        self.is_open = False
        log.info("device can be polled again", extra={"device": self.config["name"]})
        event = self._circuit_event(at, "closed", "")
        return (replace(event, severity="info"),)

    def _circuit_event(self, at: float, state: str, reason: str) -> Happening:
        payload = {"state": state, "reason": reason, "failures": self.failures}
        return Happening(at, "monitoring.degraded", "device", str(self.id), payload)


def _credential_changed(before: DeviceConfig, after: DeviceConfig, key: X25519PrivateKey) -> bool:
    """Whether they open to something else: each config seals the same password anew."""
    return open_logins(before, key) != open_logins(after, key)
