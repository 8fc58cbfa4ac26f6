"""When each router is asked: tiers from its profile, spread over time, one poll at a time per router.

Two pools: one for devices that answer, a small one for those that failed last time. However many routers hang, the
others are asked in their rhythm.
"""

import heapq
import logging
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import WatchedDevice
from agent.protocol.config import DeviceConfig
from agent.protocol.registry import Tier
from agent.samples import Findings

log = logging.getLogger(__name__)

WORKERS, SUSPECT_WORKERS = 32, 16
_SECONDS_OF = {
    Tier.FAST: "fast_s",
    Tier.MEDIUM: "medium_s",
    Tier.SLOW: "slow_s",
    Tier.DAILY: "daily_s",
}


@dataclass(eq=False)
class _Job:
    """A device and its place in time, by the steady clock."""

    device: WatchedDevice
    due: dict[Tier, float] = field(default_factory=dict)
    next_at: float = 0.0
    is_running: bool = False
    is_gone: bool = False
    #: A changed config, taken over between two polls.
    changed: DeviceConfig | None = None


class Scheduler(threading.Thread):
    """Polls devices in their rhythm and hands over what each poll brought."""

    def __init__(
        self,
        emit: Callable[[Findings], None],
        stop: threading.Event,
        *,
        sealing_key: X25519PrivateKey,
        source_address: str = "",
    ) -> None:
        super().__init__(name="scheduler", daemon=True)
        self._emit = emit
        self._stopped = stop
        self._sealing_key = sealing_key
        self._source = source_address
        self._jobs: dict[str, _Job] = {}
        self._agenda: list[tuple[float, int, _Job]] = []
        self._ids = count()
        self._guard = threading.Condition()
        self._healthy = ThreadPoolExecutor(WORKERS, thread_name_prefix="poll")
        self._suspect = ThreadPoolExecutor(SUSPECT_WORKERS, thread_name_prefix="poll-suspect")
        self._was_up: dict[str, bool] = {}
        #: Polls under way, and polls that failed since the start.
        self.running = self.errors = 0

    def configure(self, devices: Sequence[DeviceConfig]) -> None:
        """Watch these from now on."""
        with self._guard:
            wanted = {device["id"]: device for device in devices}
            for device_id in [known for known in self._jobs if known not in wanted]:
                gone = self._jobs.pop(device_id)
                gone.is_gone = True
                if not gone.is_running:
                    gone.device.close()
            for device_id, config in wanted.items():
                job = self._jobs.get(device_id)
                if job is None:
                    self._add(config)
                else:
                    self._change(job, config)
            self._guard.notify_all()

    def reachable(self, device_id: str, *, is_up: bool) -> None:
        """What the probes say. A device that is back is asked now and not when its back-off ends."""
        with self._guard:
            before = self._was_up.get(device_id, True)
            self._was_up[device_id] = is_up
            job = self._jobs.get(device_id)
            if is_up and not before and job is not None and job.device.failures:
                self._plan(job, time.monotonic() + 0.5)
                self._guard.notify_all()

    def forget_told(self) -> None:
        """Tell the server the whole inventory again."""
        with self._guard:
            for job in self._jobs.values():
                job.device.forget_told()
                # The parts that are read seldom belong to it.
                job.due = dict.fromkeys(job.due, 0.0)

    def overview(self) -> list[dict[str, str]]:
        """Each device with its state, for a person."""
        with self._guard:
            devices = [job.device for job in self._jobs.values()]
        return [
            {
                "name": device.config["name"],
                "state": "failing" if device.failures else "watched",
                "said": device.said,
            }
            for device in sorted(devices, key=lambda device: device.config["name"])
        ]

    def run(self) -> None:
        while not self._stopped.is_set():
            with self._guard:
                self._guard.wait(self._until_next())
                self._start_due(time.monotonic())
        self._shut_down()

    def _add(self, config: DeviceConfig) -> None:
        device = WatchedDevice(config, self._sealing_key, self._source)
        job = _Job(device, dict.fromkeys(_SECONDS_OF, 0.0))
        self._jobs[config["id"]] = job
        self._plan(job, time.monotonic() + phase(config) * min(config["profile"]["fast_s"], 10.0))

    def _change(self, job: _Job, config: DeviceConfig) -> None:
        if job.is_running:
            job.changed = config
            return
        job.device.take_over(config)
        if job.device.failures:
            # The change may be the remedy: a new password, another address.
            self._plan(job, min(job.next_at, time.monotonic() + 0.5))

    def _plan(self, job: _Job, at: float) -> None:
        job.next_at = at
        heapq.heappush(self._agenda, (at, next(self._ids), job))

    def _until_next(self) -> float:
        if not self._agenda:
            return 0.5
        return min(0.5, max(0.0, self._agenda[0][0] - time.monotonic()))

    def _start_due(self, now: float) -> None:
        while self._agenda and self._agenda[0][0] <= now:
            at, _, job = heapq.heappop(self._agenda)
            # An entry that was planned over is void; a device that is being asked is planned when it is done.
            if job.is_gone or job.is_running or at != job.next_at:
                continue
            job.is_running = True
            self.running += 1
            pool = self._suspect if job.device.failures else self._healthy
            pool.submit(self._poll, job, self._tiers_due(job, now))

    def _tiers_due(self, job: _Job, now: float) -> frozenset[Tier]:
        return frozenset({Tier.FAST} | {tier for tier, at in job.due.items() if at <= now})

    def _poll(self, job: _Job, tiers: frozenset[Tier]) -> None:
        began = time.monotonic()
        try:
            if not self._stopped.is_set():
                findings = job.device.poll(tiers)
                if not job.is_gone:
                    self._emit(findings)
        except Exception:
            log.exception("poll could not be handed over")
        finally:
            self._done(job, tiers, began)

    def _done(self, job: _Job, tiers: frozenset[Tier], began: float) -> None:
        with self._guard:
            job.is_running = False
            self.running -= 1
            if job.is_gone or self._stopped.is_set():
                job.device.close()
                return
            if job.changed is not None:
                job.device.take_over(job.changed)
                job.changed = None
            self._plan(job, self._next_time(job, tiers, began))
            self._guard.notify_all()

    def _next_time(self, job: _Job, tiers: frozenset[Tier], began: float) -> float:
        device, profile = job.device, job.device.config["profile"]
        now = time.monotonic()
        if device.failures:
            self.errors += 1
            return now + device.wait_after_failure()
        for tier in tiers:
            seconds: float = profile[_SECONDS_OF[tier]]  # type: ignore[literal-required]
            job.due[tier] = began + seconds - profile["fast_s"] / 2
        # On the device's own grid, so that the spread stays as it was; what was missed is not made up for.
        offset = phase(device.config) * profile["fast_s"]
        rounds = (now - offset) // profile["fast_s"] + 1
        return float(rounds * profile["fast_s"] + offset)

    def _shut_down(self) -> None:
        self._healthy.shutdown(wait=False)
        self._suspect.shutdown(wait=False)
        with self._guard:
            for job in self._jobs.values():
                if job.is_running:
                    job.device.abort()
                else:
                    job.device.close()


def phase(config: DeviceConfig) -> float:
    """A share of the interval that follows from the device's id: the same after every restart."""
    return zlib.crc32(config["id"].encode()) / 2**32
