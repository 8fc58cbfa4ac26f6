"""Heartbeat and config: the server knows that we live, and we know what to do."""

import base64
import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.errors import AgentError, Refused, ServerUnreachable
from agent.protocol.config import AgentConfig
from agent.samples import now, rfc3339
from agent.state import StateDir, public_bytes
from agent.transport.certificate import Renewal
from agent.transport.lanes import LaneLoop, parse_time
from agent.transport.server import Lane
from agent.transport.tls import fingerprints
from agent.version import CAPABILITIES, VERSION

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
#: The heartbeat's answer names the config version; this is the look-up for when heartbeats fail.
CONFIG_SECONDS = 30.0
SKEW_SECONDS = 60.0

Health = Callable[[], dict[str, float]]


class Heartbeat(LaneLoop):
    """Says every ten seconds that the agent lives and how it is."""

    most_wait = 3.0

    def __init__(
        self,
        state: StateDir,
        lane: Lane,
        stop: threading.Event,
        rng: random.Random,
        *,
        boot_id: str,
        health: Health,
    ) -> None:
        super().__init__("heartbeat", stop, rng)
        self._state = state
        self._lane = lane
        self._sealing = base64.b64encode(public_bytes(state.sealing_key())).decode()
        self._boot_id = boot_id
        self._health = health
        self.seconds = HEARTBEAT_SECONDS
        self.on_version: Callable[[str], None] = lambda _version: None
        self.on_skew: Callable[[float], None] = lambda _seconds: None
        self.on_pending: Callable[[int], None] = lambda _count: None
        self.last_at: float | None = None
        #: This host's clock minus the server's, in seconds.
        self.skew: float | None = None

    def once(self) -> float:
        began, sent_at = time.monotonic(), now()
        said: dict[str, Any] = {
            "sent_at": rfc3339(sent_at),
            "boot_id": self._boot_id,
            "version": VERSION,
            "capabilities": list(CAPABILITIES),
            "sealing_public_key": self._sealing,
            "trusted_authorities": fingerprints(self._state.trust.read_text(encoding="ascii")),
            **self._health(),
        }
        answer = self._lane.heartbeat(said)
        took = time.monotonic() - began
        self.last_at = now()
        server_time = parse_time(str(answer.get("server_time", "")))
        # The server looked at its clock somewhere between question and answer; half-way is the best guess.
        self.skew = sent_at + took / 2 - server_time.timestamp()
        self.on_skew(self.skew)
        self.on_version(str(answer.get("config_version", "")))
        pending = answer.get("pending_diagnostics", 0)
        self.on_pending(pending if isinstance(pending, int) else 0)
        return max(0.1, self.seconds - took)


class ConfigKeeper(LaneLoop):
    """Keeps the assignment current, and the certificate young."""

    most_wait = 10.0

    def __init__(
        self,
        state: StateDir,
        lane: Lane,
        stop: threading.Event,
        rng: random.Random,
        on_config: Callable[[AgentConfig], None],
    ) -> None:
        super().__init__("config", stop, rng)
        self._state = state
        self._lane = lane
        self._on_config = on_config
        self._renewal = Renewal(state, lane, rng)
        #: This host's clock minus the server's, in seconds: certificates are the server's.
        self.clock_error: Callable[[], float | None] = lambda: None
        self.version: str | None = None

    def start_with_last(self) -> None:
        """Begin with the config of the last run: polling does not wait for the server."""
        config = self._state.config()
        if config is not None:
            self._apply(config)

    def heard_version(self, version: str) -> None:
        """What the heartbeat's answer says we should have."""
        if version and version != self.version:
            self.wake()

    def once(self) -> float:
        self._renew()
        config = self._lane.config(self.version)
        if config is not None:
            self._trust(config)
            self._state.save_config(config)
            self._apply(config)
            log.info(
                "config taken",
                extra={
                    "version": config["version"][:12],
                    "devices": len(config["devices"]),
                    "probe_targets": len(config["probe_targets"]),
                },
            )
        return CONFIG_SECONDS

    def _apply(self, config: AgentConfig) -> None:
        self._on_config(config)
        self.version = config["version"]

    def _renew(self) -> None:
        try:
            error = timedelta(seconds=self.clock_error() or 0.0)
            self._renewal.renew_if_due(datetime.now(UTC) - error)
        except (Refused, ServerUnreachable, AgentError) as error:
            log.warning("certificate not renewed", extra={"said": str(error)})

    def _trust(self, config: AgentConfig) -> None:
        """The CA, and the next one before the server changes to it. Came over a verified connection."""
        pems = [config["ca_pem"], config.get("next_ca_pem") or ""]
        wanted = "".join(pem if pem.endswith("\n") else f"{pem}\n" for pem in pems if pem)
        if wanted and wanted != self._state.trust.read_text(encoding="ascii"):
            self._state.write(self._state.trust.name, wanted.encode())
