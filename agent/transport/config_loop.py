"""Fetches the agent's config from the server, and renews its certificate."""

import logging
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from agent.errors import AgentError, RequestRefused, ServerUnreachable
from agent.protocol.config import AgentConfig
from agent.state import StateDir
from agent.transport.certificate import Renewal
from agent.transport.ingest_client import IngestClient
from agent.transport.loop import IngestLoop

log = logging.getLogger(__name__)

#: The heartbeat's response names the config version; this interval applies while heartbeats fail.
CONFIG_SECONDS = 30.0


class ConfigLoop(IngestLoop):
    """Keeps the config current and renews the certificate when it is due."""

    max_wait = 10.0

    def __init__(
        self,
        state: StateDir,
        client: IngestClient,
        stop: threading.Event,
        rng: random.Random,
        on_config: Callable[[AgentConfig], None],
    ) -> None:
        super().__init__("config", stop, rng)
        self._state = state
        self._client = client
        self._on_config = on_config
        self._renewal = Renewal(state, client, rng)
        #: This host's clock minus the server's, in seconds: the server's clock decides when certificates expire.
        self.clock_skew: Callable[[], float | None] = lambda: None
        self.version: str | None = None

    def apply_saved_config(self) -> None:
        """Start with the config of the last run: polling does not wait for the server."""
        config = self._state.config()
        if config is not None:
            self._apply(config)

    def notify_version(self, version: str) -> None:
        """The heartbeat's response names this config version; fetch it if it is new."""
        if version and version != self.version:
            self.wake()

    def run_once(self) -> float:
        self._renew()
        config = self._client.config(self.version)
        if config is not None:
            self._save_ca_bundle(config)
            self._state.save_config(config)
            self._apply(config)
            log.info(
                "config_applied",
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
            skew = timedelta(seconds=self.clock_skew() or 0.0)
            self._renewal.renew_if_due(datetime.now(UTC) - skew)
        except (RequestRefused, ServerUnreachable, AgentError) as error:
            log.warning("certificate_renewal_failed", extra={"error": str(error)})

    def _save_ca_bundle(self, config: AgentConfig) -> None:
        """Trust the CA of the config, and the next one before the server changes to it.

        The config came over a verified connection.
        """
        pems = [config["ca_pem"], config.get("next_ca_pem") or ""]
        bundle = "".join(pem if pem.endswith("\n") else f"{pem}\n" for pem in pems if pem)
        if bundle and bundle != self._state.ca_bundle.read_text(encoding="ascii"):
            self._state.write(self._state.ca_bundle.name, bundle.encode())
