"""One monitored device: its session, the inventory already sent, and the circuit that opens when polls fail."""

import logging
import random
from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.base import Endpoint, Session, load_collector
from agent.collectors.errors import (
    CertificateChanged,
    CollectorMissing,
    DeviceFailed,
    LoginHeld,
    LoginRefused,
)
from agent.collectors.logins import CredentialMissing, decrypt_logins
from agent.collectors.registry import DEFAULT, facts_of
from agent.normalize.changes import ConfigurationTracker
from agent.normalize.entities import InventoryCache
from agent.normalize.metrics import failed_sample, login_samples, samples_of
from agent.normalize.readings import Reading
from agent.protocol.config import DeviceConfig
from agent.protocol.registry import Tier
from agent.samples import Event, PollResult, Sample, now

log = logging.getLogger(__name__)

#: Consecutive failures after which the circuit opens. Permanent failures open it at once.
CIRCUIT_OPENS_AFTER = 2
MAX_RETRY_SECONDS = 30.0


class MonitoredDevice:
    """Not thread-safe: the scheduler polls it from one thread at a time."""

    def __init__(
        self, config: DeviceConfig, sealing_key: X25519PrivateKey, source_address: str
    ) -> None:
        self.config = config
        self.id = UUID(config["id"])
        self.failures = 0
        self.is_circuit_open = False
        self.message = "not polled yet"
        self._inventory = InventoryCache()
        self._configuration = ConfigurationTracker()
        self._rng = random.Random(config["id"])  # noqa: S311  # spreads load, guards nothing
        self._sealing_key = sealing_key
        self._source = source_address
        self._session: Session | None = None
        #: What the device's last session knew that the next one needs.
        self._session_memory: str | None = None
        #: The credential set of the last successful login; it is tried first.
        self._working_credential_set: str | None = None
        #: SHA-256 of the TLS certificate at the first successful login, until the server pins it.
        self._accepted_certificate = ""
        #: SHA-256 of the changed certificate that was reported last.
        self._reported_certificate = ""

    def poll(self, tiers: Collection[Tier]) -> PollResult:
        """Poll the device. Never raises: a failure is a result too."""
        command_timeout = self.config["profile"]["command_timeout_s"]
        try:
            reading = self._read(tiers, command_timeout)
        except DeviceFailed as failure:
            return self._record_failure(failure)
        except Exception as error:
            # An unexpected reply fails the poll of this router and of no other.
            log.exception("poll_failed", extra={"device": self.config["name"]})
            self.close()
            return self._record_failure(
                DeviceFailed(f"The reply of the router cannot be parsed: {type(error).__name__}")
            )
        patch = self._inventory.diff(self.id, reading)
        samples = samples_of(self.id, reading, self.config["expected"], self._sample_source)
        if Tier.MEDIUM in tiers or self.is_circuit_open:
            samples += self._login_samples(reading.at, is_held=False, is_certificate_ok=True)
        events = self._record_recovery(reading.at)
        if reading.configuration is not None:
            device_id = str(self.id)
            events += self._configuration.detect(device_id, reading.configuration, reading.at)
        return PollResult(tuple(samples), events, patch)

    def retry_delay(self) -> float:
        """Seconds until the next poll: doubles from the fast tier's interval, bounded, with jitter."""
        first = self.config["profile"]["fast_s"]
        delay = min(max(MAX_RETRY_SECONDS, first), first * float(1 << min(self.failures - 1, 8)))
        return delay * self._rng.uniform(0.8, 1.0)

    def reset_inventory_cache(self) -> None:
        """Send the whole inventory again with the next poll."""
        self._inventory.reset()

    def update_config(self, config: DeviceConfig) -> None:
        """Apply a changed config. Only another collector, endpoint, pinned certificate or login ends the session."""
        before, self.config = self.config, config
        is_collector_changed = before.get("collector", DEFAULT) != self._collector
        endpoints = {(each["address"], each["port"], each["tls"]) for each in (before, config)}
        if len(endpoints) > 1:
            self._accepted_certificate = ""
        is_endpoint_changed = len(endpoints) > 1 or self._is_pin_changed()
        if (
            is_collector_changed
            or is_endpoint_changed
            or _credential_changed(before, config, self._sealing_key)
        ):
            self.close()
        if is_collector_changed:
            self._session_memory = None

    def abort(self) -> None:
        """End a poll that runs in another thread."""
        session = self._session
        if session is not None:
            session.abort()

    def close(self) -> None:
        if self._session is not None:
            self._session_memory = self._session.memory
            self._session.close()
            self._session = None

    @property
    def _collector(self) -> str:
        return self.config.get("collector", DEFAULT)

    @property
    def _sample_source(self) -> str:
        return facts_of(self._collector).source

    def _read(self, tiers: Collection[Tier], command_timeout: float) -> Reading:
        """Read with the open session, else with the first login that the router accepts."""
        if self._session is not None:
            return self._session.poll(tiers, command_timeout)
        open_session = load_collector(self._collector)
        if self.config.get("login_held"):
            raise LoginHeld
        logins = decrypt_logins(self.config, self._sealing_key)
        if not logins:
            raise CredentialMissing
        logins.sort(key=lambda login: login.credential_set != self._working_credential_set)
        refusal = LoginRefused("The router refused the login.")
        for login in logins:
            session = open_session(self._endpoint(), login, self._session_memory)
            self._session = session
            try:
                reading = session.poll(tiers, command_timeout)
            except LoginRefused as refused:
                self.close()
                refusal = refused
                continue
            self._record_login(login.credential_set, session.certificate)
            return reading
        raise refusal

    def _pinned(self) -> str:
        """SHA-256 of the certificate that the router must present; empty: any certificate."""
        if "tls_certificate" not in self.config:
            return ""  # an older server has no way to accept a changed certificate
        return self.config["tls_certificate"] or self._accepted_certificate

    def _is_pin_changed(self) -> bool:
        """Whether the router of the open session presented another certificate than the one pinned now."""
        pinned, session = self._pinned(), self._session
        return session is not None and bool(pinned) and session.certificate != pinned

    def _record_login(self, credential_set: str, certificate: str) -> None:
        self._reported_certificate = ""
        self._accepted_certificate = certificate
        self._inventory.set_certificate(certificate)
        if credential_set and credential_set != self._working_credential_set:
            self._working_credential_set = credential_set
            self._inventory.set_credential_set(credential_set)

    def _endpoint(self) -> Endpoint:
        config = self.config
        return Endpoint(
            address=config["address"],
            port=config["port"],
            use_tls=config["tls"],
            source_address=self._source,
            certificate=self._pinned(),
        )

    def _record_failure(self, failure: DeviceFailed) -> PollResult:
        self.close()
        at = now()
        self.failures += 1
        self.message = str(failure)
        events: tuple[Event, ...] = ()
        if not self.is_circuit_open and (
            failure.is_permanent or self.failures >= CIRCUIT_OPENS_AFTER
        ):
            self.is_circuit_open = True
            events = (self._circuit_event(at, "open", str(failure), failure.code),)
            log.warning(
                "device_poll_failing",
                extra={"device": self.config["name"], "error": str(failure)},
            )
        if isinstance(failure, LoginHeld):
            return PollResult(tuple(self._login_samples(at, is_held=True)), events)
        if isinstance(failure, CertificateChanged):
            return self._certificate_changed(failure, at, events)
        if isinstance(failure, CollectorMissing):
            return PollResult(
                (), events
            )  # the device was not polled: whether it responds is unknown
        return PollResult((self._failed_sample(at),), events)

    def _failed_sample(self, at: float) -> Sample:
        return failed_sample(str(self.id), at, self._sample_source)

    def _certificate_changed(
        self, failure: CertificateChanged, at: float, events: tuple[Event, ...]
    ) -> PollResult:
        """Reported once for each certificate; the next successful poll sends the whole inventory again."""
        samples = tuple(self._login_samples(at, is_certificate_ok=False))
        if "tls_certificate" not in self.config or failure.presented == self._reported_certificate:
            return PollResult(samples or (self._failed_sample(at),), events)
        self._reported_certificate = failure.presented
        self._inventory.reset()
        device_id = str(self.id)
        payload = {"pinned": failure.pinned, "presented": failure.presented}
        event = Event(at, "device.certificate.changed", "device", device_id, payload, "critical")
        patch = {"devices": [{"id": device_id, "presented_certificate": failure.presented}]}
        return PollResult(samples, (*events, event), patch)

    def _login_samples(
        self, at: float, *, is_held: bool | None = None, is_certificate_ok: bool | None = None
    ) -> list[Sample]:
        """Only metrics that the server knows: an older server would reject the others."""
        config = self.config
        is_pinned = "tls_certificate" in config and config["tls"] and bool(self._pinned())
        return login_samples(
            str(self.id),
            at,
            self._sample_source,
            is_held=is_held if "login_held" in config else None,
            is_certificate_ok=is_certificate_ok if is_pinned else None,
        )

    def _record_recovery(self, at: float) -> tuple[Event, ...]:
        self.failures, self.message = 0, "ok"
        if not self.is_circuit_open:
            return ()
        self.is_circuit_open = False
        log.info("device_poll_recovered", extra={"device": self.config["name"]})
        event = self._circuit_event(at, "closed", "", "")
        return (replace(event, severity="info"),)

    def _circuit_event(self, at: float, state: str, reason: str, code: str) -> Event:
        payload = {"state": state, "reason": reason, "code": code, "failures": self.failures}
        return Event(at, "monitoring.degraded", "device", str(self.id), payload)


def _credential_changed(before: DeviceConfig, after: DeviceConfig, key: X25519PrivateKey) -> bool:
    """Compares plaintexts: each config encrypts the same password anew."""
    return decrypt_logins(before, key) != decrypt_logins(after, key)
