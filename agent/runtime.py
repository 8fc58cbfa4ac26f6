"""The running agent: its threads and how they are connected."""

import logging
import random
import threading
import time
from collections import Counter
from dataclasses import replace
from math import inf
from uuid import uuid4

from agent.buffer.batch_writer import BatchWriter
from agent.buffer.store import Buffer
from agent.normalize.changes import ChangeDetector
from agent.probes.loop import ProbeLoop
from agent.protocol.config import AgentConfig
from agent.samples import Event, PollResult, now, rfc3339
from agent.scheduler import Scheduler
from agent.state import StateDir
from agent.transport.config_loop import ConfigLoop
from agent.transport.diagnostics import DiagnosticsLoop
from agent.transport.heartbeat import Heartbeat
from agent.transport.ingest_client import IngestClient
from agent.transport.push import Pusher
from agent.version import VERSION

log = logging.getLogger(__name__)

#: How long results are collected into one batch, while the server is reachable and while it is not.
FLUSH_SECONDS = 0.4
FLUSH_SECONDS_OFFLINE = 5.0
STATUS_SECONDS = 5.0
JOIN_SECONDS = 3.0
#: The inventory is sent again at most this often, however many entities the server does not know.
RESEND_INVENTORY_SECONDS = 60.0
#: Share of the buffer's maximum size above which the buffer-high event is sent.
BUFFER_HIGH_SHARE = 0.5
#: A skew of the clock above this is logged, as the server alerts on it.
SKEW_SECONDS = 2.0


class Runtime:
    """One agent from start to stop."""

    def __init__(self, state: StateDir, source_address: str = "") -> None:
        enrollment = state.enrollment()
        rng = random.Random(enrollment.agent_id + str(time.time_ns()))  # noqa: S311  # spreads load, guards nothing
        self.agent_id = enrollment.agent_id
        self.stop = threading.Event()
        self._state = state
        self._changes = ChangeDetector()
        self._inventory_resent_at = float("-inf")
        self._was_skewed = self._was_high = False
        self.buffer = Buffer(state.buffer)
        self.batch_writer = BatchWriter(self.buffer, agent_id=self.agent_id, boot_id=str(uuid4()))
        self.probes = ProbeLoop(self.emit, self.stop, source_address)
        self.scheduler = Scheduler(
            self.emit, self.stop, sealing_key=state.sealing_key(), source_address=source_address
        )
        clients = [IngestClient(state, source_address) for _ in range(4)]
        self.pusher = Pusher(
            self.buffer,
            clients[0],
            self.stop,
            rng,
            self._resend_inventory,
            boot_id=self.batch_writer.boot_id,
        )
        self.config_loop = ConfigLoop(state, clients[1], self.stop, rng, self._configure)
        self.heartbeat = Heartbeat(
            state,
            clients[2],
            self.stop,
            rng,
            boot_id=self.batch_writer.boot_id,
            health=self._health,
        )
        self.heartbeat.on_version = self.config_loop.notify_version
        self.heartbeat.on_skew = self._check_clock
        self.diagnostics = DiagnosticsLoop(state, clients[3], self.stop, rng, source_address)
        self.heartbeat.on_pending = self.diagnostics.notify_pending
        self.config_loop.clock_skew = lambda: self.heartbeat.skew

    def emit(self, result: PollResult) -> None:
        """Queue the result of a poll or a probe round for sending."""
        for sample in result.samples:
            if sample.metric == "device.up":
                self.scheduler.set_reachable(sample.entity_id, is_up=bool(sample.value))
        events = self._changes.detect(result)
        self.batch_writer.put(
            replace(result, events=(*result.events, *events)) if events else result
        )

    def run(self) -> None:
        """Run until ``stop`` is set, then flush to disk what is still in memory."""
        log.info("agent_started", extra={"version": VERSION, "agent": self.agent_id})
        self.config_loop.apply_saved_config()
        flusher = threading.Thread(target=self._flush_loop, name="flush", daemon=True)
        threads = [
            self.heartbeat,
            self.config_loop,
            self.pusher,
            self.diagnostics,
            self.probes,
            self.scheduler,
            flusher,
        ]
        for thread in threads:
            thread.start()
        while not self.stop.wait(STATUS_SECONDS):
            self._write_status()
        self._shut_down(threads)
        log.info("agent_stopped", extra={"pending_batches": self.buffer.depth})

    def _shut_down(self, threads: list[threading.Thread]) -> None:
        for loop in (self.heartbeat, self.config_loop, self.pusher, self.diagnostics):
            loop.wake()
        self.batch_writer.has_pending.set()
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._flush()
        self._write_status()

    def _flush_loop(self) -> None:
        while not self.stop.is_set():
            if not self.batch_writer.has_pending.wait(STATUS_SECONDS):
                continue
            is_offline = self.pusher.is_failing
            self.stop.wait(FLUSH_SECONDS_OFFLINE if is_offline else FLUSH_SECONDS)
            self._flush()

    def _flush(self) -> None:
        try:
            batch_count = self.batch_writer.flush()
        except OSError as error:
            log.error("batch_not_written", extra={"error": str(error)})  # noqa: TRY400  # the text is enough
            self.stop.wait(1.0)
            return
        if batch_count:
            self.pusher.wake()
            self._check_buffer()

    def _configure(self, config: AgentConfig) -> None:
        self.batch_writer.max_metrics = config["limits"]["max_batch_metrics"]
        self.heartbeat.seconds = config["heartbeat_seconds"]
        self.probes.configure(config["probe_targets"])
        self.scheduler.configure(config["devices"])

    def _resend_inventory(self) -> None:
        """The server does not know an entity: send it the whole inventory again, at a bounded rate."""
        if time.monotonic() - self._inventory_resent_at >= RESEND_INVENTORY_SECONDS:
            self._inventory_resent_at = time.monotonic()
            self.scheduler.resend_inventory()

    def _health(self) -> dict[str, float]:
        return {
            "buffer_depth": float(self.buffer.depth),
            "buffer_age_seconds": self.buffer.age(now()),
            "jobs_running": float(self.scheduler.running_count),
            "poll_errors_total": float(self.scheduler.error_count),
            "push_lag_seconds": self.pusher.lag,
        }

    def metrics(self) -> dict[str, float]:
        """The metrics that ``agent.prometheus`` serves."""
        states = Counter(row["state"] for row in self.scheduler.overview())
        last = self.heartbeat.last_at
        return {
            **{f"agent_{name}": value for name, value in self._health().items()},
            "agent_buffer_bytes": float(self.buffer.size),
            "agent_buffer_max_bytes": float(self.buffer.max_bytes),
            "agent_batches_pushed_total": float(self.pusher.pushed_count),
            "agent_push_failing": float(self.pusher.is_failing),
            "agent_clock_skew_seconds": float(self.heartbeat.skew or 0.0),
            "agent_heartbeat_age_seconds": now() - last if last else inf,
            **{f'agent_devices{{state="{state}"}}': float(n) for state, n in states.items()},
        }

    def _check_clock(self, skew: float) -> None:
        is_skewed = abs(skew) > SKEW_SECONDS
        if is_skewed != self._was_skewed:
            self._was_skewed = is_skewed
            # The server creates the event: an event of the agent would carry the wrong time.
            log.warning(
                "clock_skewed" if is_skewed else "clock_recovered",
                extra={"skew_seconds": round(skew, 3)},
            )

    def _check_buffer(self) -> None:
        share = self.buffer.size / self.buffer.max_bytes
        is_high = share > (BUFFER_HIGH_SHARE / 2 if self._was_high else BUFFER_HIGH_SHARE)
        if is_high != self._was_high:
            self._was_high = is_high
            self._send_buffer_event(is_high=is_high, share=round(share, 3))

    def _send_buffer_event(self, *, is_high: bool, share: float) -> None:
        severity = "warn" if is_high else "info"
        payload = {"state": "open" if is_high else "closed", "share": share}
        log.warning("buffer_high" if is_high else "buffer_recovered", extra={"share": share})
        event = Event(now(), "agent.buffer.high", "agent", self.agent_id, payload, severity)
        self.batch_writer.put(PollResult(events=(event,)))

    def _write_status(self) -> None:
        last = self.heartbeat.last_at
        status = {
            "at": rfc3339(time.time()),
            "boot_id": self.batch_writer.boot_id,
            "config_version": self.config_loop.version,
            "last_heartbeat_at": rfc3339(last) if last else None,
            "clock_skew_seconds": self.heartbeat.skew,
            "batches_pushed": self.pusher.pushed_count,
            **self._health(),
            "devices": self.scheduler.overview(),
        }
        try:
            self._state.save_status(status)
        except OSError as error:  # a full disk stops neither polling nor pushing
            log.warning("status_not_written", extra={"error": str(error)})
