"""Schedules polls: tiers from the polling profile, spread over time, one poll at a time per router.

Two thread pools: one for devices that respond, a small one for those whose last poll failed. However many routers
hang, the others are polled on time.
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

from agent.collectors.device import MonitoredDevice
from agent.protocol.config import DeviceConfig
from agent.protocol.registry import Tier
from agent.samples import PollResult

log = logging.getLogger(__name__)

WORKERS, FAILING_WORKERS = 32, 16
_PROFILE_KEYS = {
    Tier.FAST: "fast_s",
    Tier.MEDIUM: "medium_s",
    Tier.SLOW: "slow_s",
    Tier.DAILY: "daily_s",
}


@dataclass(eq=False)
class _Job:
    """A device and its next poll, by the monotonic clock."""

    device: MonitoredDevice
    due: dict[Tier, float] = field(default_factory=dict)
    next_at: float = 0.0
    is_running: bool = False
    is_removed: bool = False
    #: A changed config, applied between two polls.
    new_config: DeviceConfig | None = None


class Scheduler(threading.Thread):
    """Polls devices at their intervals and emits the result of each poll."""

    def __init__(
        self,
        emit: Callable[[PollResult], None],
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
        self._queue: list[tuple[float, int, _Job]] = []
        self._ids = count()
        self._condition = threading.Condition()
        self._healthy_pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="poll")
        self._failing_pool = ThreadPoolExecutor(FAILING_WORKERS, thread_name_prefix="poll-failing")
        self._was_up: dict[str, bool] = {}
        #: Polls running now, and polls that failed since the start.
        self.running_count = self.error_count = 0

    def configure(self, devices: Sequence[DeviceConfig]) -> None:
        """Replace the list of devices to poll."""
        with self._condition:
            wanted = {device["id"]: device for device in devices}
            for device_id in [known for known in self._jobs if known not in wanted]:
                removed = self._jobs.pop(device_id)
                removed.is_removed = True
                if not removed.is_running:
                    removed.device.close()
            for device_id, config in wanted.items():
                job = self._jobs.get(device_id)
                if job is None:
                    self._add(config)
                else:
                    self._update(job, config)
            self._condition.notify_all()

    def set_reachable(self, device_id: str, *, is_up: bool) -> None:
        """Result of the probes. A device that is reachable again is polled now, not when its backoff ends."""
        with self._condition:
            before = self._was_up.get(device_id, True)
            self._was_up[device_id] = is_up
            job = self._jobs.get(device_id)
            if is_up and not before and job is not None and job.device.failures:
                self._schedule(job, time.monotonic() + 0.5)
                self._condition.notify_all()

    def resend_inventory(self) -> None:
        """Send the whole inventory again with the next polls."""
        with self._condition:
            for job in self._jobs.values():
                job.device.reset_inventory_cache()
                # Parts of the inventory are only read by the slow tiers.
                job.due = dict.fromkeys(job.due, 0.0)

    def overview(self) -> list[dict[str, str]]:
        """Each device with its state, for ``status``."""
        with self._condition:
            devices = [job.device for job in self._jobs.values()]
        return [
            {
                "name": device.config["name"],
                "state": "failing" if device.failures else "ok",
                "message": device.message,
            }
            for device in sorted(devices, key=lambda device: device.config["name"])
        ]

    def run(self) -> None:
        while not self._stopped.is_set():
            with self._condition:
                self._condition.wait(self._until_next())
                self._start_due(time.monotonic())
        self._shut_down()

    def _add(self, config: DeviceConfig) -> None:
        device = MonitoredDevice(config, self._sealing_key, self._source)
        job = _Job(device, dict.fromkeys(_PROFILE_KEYS, 0.0))
        self._jobs[config["id"]] = job
        self._schedule(
            job, time.monotonic() + phase(config) * min(config["profile"]["fast_s"], 10.0)
        )

    def _update(self, job: _Job, config: DeviceConfig) -> None:
        if job.is_running:
            job.new_config = config
            return
        job.device.update_config(config)
        if job.device.failures:
            # The change may fix the failure: a new password, another address.
            self._schedule(job, min(job.next_at, time.monotonic() + 0.5))

    def _schedule(self, job: _Job, at: float) -> None:
        job.next_at = at
        heapq.heappush(self._queue, (at, next(self._ids), job))

    def _until_next(self) -> float:
        if not self._queue:
            return 0.5
        return min(0.5, max(0.0, self._queue[0][0] - time.monotonic()))

    def _start_due(self, now: float) -> None:
        while self._queue and self._queue[0][0] <= now:
            at, _, job = heapq.heappop(self._queue)
            # An entry that was rescheduled is void; a device that is being polled is scheduled when its poll ends.
            if job.is_removed or job.is_running or at != job.next_at:
                continue
            job.is_running = True
            self.running_count += 1
            pool = self._failing_pool if job.device.failures else self._healthy_pool
            pool.submit(self._poll, job, self._tiers_due(job, now))

    def _tiers_due(self, job: _Job, now: float) -> frozenset[Tier]:
        return frozenset({Tier.FAST} | {tier for tier, at in job.due.items() if at <= now})

    def _poll(self, job: _Job, tiers: frozenset[Tier]) -> None:
        started_at = time.monotonic()
        try:
            if not self._stopped.is_set():
                result = job.device.poll(tiers)
                if not job.is_removed:
                    self._emit(result)
        except Exception:
            log.exception("poll_result_lost")
        finally:
            self._finish(job, tiers, started_at)

    def _finish(self, job: _Job, tiers: frozenset[Tier], started_at: float) -> None:
        with self._condition:
            job.is_running = False
            self.running_count -= 1
            if job.is_removed or self._stopped.is_set():
                job.device.close()
                return
            if job.new_config is not None:
                job.device.update_config(job.new_config)
                job.new_config = None
            self._schedule(job, self._next_time(job, tiers, started_at))
            self._condition.notify_all()

    def _next_time(self, job: _Job, tiers: frozenset[Tier], started_at: float) -> float:
        device, profile = job.device, job.device.config["profile"]
        now = time.monotonic()
        if device.failures:
            self.error_count += 1
            return now + device.retry_delay()
        for tier in tiers:
            seconds: float = profile[_PROFILE_KEYS[tier]]  # type: ignore[literal-required]
            job.due[tier] = started_at + seconds - profile["fast_s"] / 2
        # On the device's own grid, so that the spread stays the same; missed polls are skipped.
        offset = phase(device.config) * profile["fast_s"]
        intervals = (now - offset) // profile["fast_s"] + 1
        return float(intervals * profile["fast_s"] + offset)

    def _shut_down(self) -> None:
        self._healthy_pool.shutdown(wait=False)
        self._failing_pool.shutdown(wait=False)
        with self._condition:
            for job in self._jobs.values():
                if job.is_running:
                    job.device.abort()
                else:
                    job.device.close()


def phase(config: DeviceConfig) -> float:
    """A share of the interval derived from the device's id: the same after every restart."""
    return zlib.crc32(config["id"].encode()) / 2**32
