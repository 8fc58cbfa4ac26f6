"""When each router is asked: tiers from its profile, spread over time, one poll at a time per router."""

import threading
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.protocol.config import DeviceConfig
from agent.samples import Findings


class Scheduler(threading.Thread):
    """Polls routers in their rhythm."""

    def __init__(
        self,
        emit: Callable[[Findings], None],
        stop: threading.Event,
        *,
        sealing_key: X25519PrivateKey,
        source_address: str = "",
    ) -> None:
        super().__init__(name="scheduler", daemon=True)
        self.running = self.errors = 0
        self._stopped = stop
        self._emit, self._sealing_key, self._source = emit, sealing_key, source_address

    def configure(self, devices: Sequence[DeviceConfig]) -> None:
        pass

    def reachable(self, device_id: str, *, is_up: bool) -> None:
        pass

    def forget_told(self) -> None:
        pass

    def overview(self) -> list[dict[str, str]]:
        return []

    def run(self) -> None:
        self._stopped.wait()
