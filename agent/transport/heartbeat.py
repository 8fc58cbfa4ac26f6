"""The heartbeat: reports the health of the agent and measures the skew of its clock."""

import base64
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from agent.samples import now, rfc3339
from agent.state import StateDir, public_bytes
from agent.transport.ingest_client import IngestClient
from agent.transport.loop import IngestLoop, parse_time
from agent.transport.tls import fingerprints
from agent.version import CAPABILITIES, VERSION

HEARTBEAT_SECONDS = 10.0

Health = Callable[[], dict[str, float]]


class Heartbeat(IngestLoop):
    """Reports every ten seconds that the agent is running, with its health."""

    max_wait = 3.0

    def __init__(
        self,
        state: StateDir,
        client: IngestClient,
        stop: threading.Event,
        rng: random.Random,
        *,
        boot_id: str,
        health: Health,
    ) -> None:
        super().__init__("heartbeat", stop, rng)
        self._state = state
        self._client = client
        self._sealing_key = base64.b64encode(public_bytes(state.sealing_key())).decode()
        self._boot_id = boot_id
        self._health = health
        self.seconds = HEARTBEAT_SECONDS
        self.on_version: Callable[[str], None] = lambda _version: None
        self.on_skew: Callable[[float], None] = lambda _seconds: None
        self.on_pending: Callable[[int], None] = lambda _count: None
        self.last_at: float | None = None
        #: This host's clock minus the server's, in seconds.
        self.skew: float | None = None

    def run_once(self) -> float:
        started_at, sent_at = time.monotonic(), time.time()
        body: dict[str, Any] = {
            "sent_at": rfc3339(sent_at),
            "boot_id": self._boot_id,
            "version": VERSION,
            "capabilities": list(CAPABILITIES),
            "sealing_public_key": self._sealing_key,
            "trusted_authorities": fingerprints(self._state.ca_bundle.read_text(encoding="ascii")),
            **self._health(),
        }
        response = self._client.heartbeat(body)
        elapsed = time.monotonic() - started_at
        self.last_at = now()
        server_time = parse_time(str(response.get("server_time", "")))
        # The server read its clock between request and response; the middle is the best estimate.
        self.skew = sent_at + elapsed / 2 - server_time.timestamp()
        self.on_skew(self.skew)
        self.on_version(str(response.get("config_version", "")))
        pending = response.get("pending_diagnostics", 0)
        self.on_pending(pending if isinstance(pending, int) else 0)
        return max(0.1, self.seconds - elapsed)
