"""The running agent: its threads, and how they hand things to each other."""

import logging
import random
import threading
import time
from collections import Counter
from dataclasses import replace
from math import inf
from uuid import uuid4

from agent.buffer.outbox import Outbox
from agent.buffer.store import Buffer
from agent.normalize.changes import Changes
from agent.probes.loop import ProbeLoop
from agent.protocol.config import AgentConfig
from agent.samples import Findings, Happening, now, rfc3339
from agent.scheduler import Scheduler
from agent.state import StateDir
from agent.transport.contact import SKEW_SECONDS, ConfigKeeper, Heartbeat
from agent.transport.diagnostics import Diagnostics
from agent.transport.push import Pusher
from agent.transport.server import Lane
from agent.version import VERSION

log = logging.getLogger(__name__)

#: How long findings are gathered into one batch while the server takes them, and while it does not.
GATHER_SECONDS = 0.4
GATHER_SECONDS_AWAY = 5.0
STATUS_SECONDS = 5.0
JOIN_SECONDS = 3.0
#: After the server missed entities, the inventory is told again at most this often.
RETELL_SECONDS = 60.0
#: The share of the buffer from which on it is an event.
HIGH_SHARE = 0.5


class Runtime:
    """One agent from start to stop."""

    def __init__(self, state: StateDir, source_address: str = "") -> None:
        membership = state.membership()
        rng = random.Random(membership.agent_id + str(time.time_ns()))  # noqa: S311  # spreads load, guards nothing
        self.agent_id = membership.agent_id
        self.stop = threading.Event()
        self._state = state
        self._changes = Changes()
        self._retold_at = float("-inf")
        self._was_skewed = self._was_high = False
        self.buffer = Buffer(state.buffer)
        self.outbox = Outbox(self.buffer, agent_id=self.agent_id, boot_id=str(uuid4()))
        self.probes = ProbeLoop(self.emit, self.stop, source_address)
        self.scheduler = Scheduler(
            self.emit, self.stop, sealing_key=state.sealing_key(), source_address=source_address
        )
        lanes = [Lane(state, source_address) for _ in range(4)]
        self.pusher = Pusher(self.buffer, lanes[0], self.stop, rng, self._retell)
        self.keeper = ConfigKeeper(state, lanes[1], self.stop, rng, self._configure)
        self.heartbeat = Heartbeat(
            state, lanes[2], self.stop, rng, boot_id=self.outbox.boot_id, health=self._health
        )
        self.heartbeat.on_version = self.keeper.heard_version
        self.heartbeat.on_skew = self._watch_clock
        self.diagnostics = Diagnostics(state, lanes[3], self.stop, rng, source_address)
        self.heartbeat.on_pending = self.diagnostics.heard_pending
        self.keeper.clock_error = lambda: self.heartbeat.skew

    def emit(self, findings: Findings) -> None:
        """Take what a poll or a probe round brought."""
        for sample in findings.samples:
            if sample.metric == "device.up":
                self.scheduler.reachable(sample.entity_id, is_up=bool(sample.value))
        events = self._changes.of(findings)
        self.outbox.put(
            replace(findings, events=(*findings.events, *events)) if events else findings
        )

    def run(self) -> None:
        """Work until ``stop`` is set, then put on disk what is still in memory."""
        log.info("agent starts", extra={"version": VERSION, "agent": self.agent_id})
        self.keeper.start_with_last()
        flusher = threading.Thread(target=self._flush_loop, name="flush", daemon=True)
        threads = [
            self.heartbeat,
            self.keeper,
            self.pusher,
            self.diagnostics,
            self.probes,
            self.scheduler,
            flusher,
        ]
        for thread in threads:
            thread.start()
        while not self.stop.wait(STATUS_SECONDS):
            self._note_status()
        self._wind_down(threads)
        log.info("agent stopped", extra={"waiting_batches": self.buffer.depth})

    def _wind_down(self, threads: list[threading.Thread]) -> None:
        for lane in (self.heartbeat, self.keeper, self.pusher, self.diagnostics):
            lane.wake()
        self.outbox.filled.set()
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._flush()
        self._note_status()

    def _flush_loop(self) -> None:
        while not self.stop.is_set():
            if not self.outbox.filled.wait(STATUS_SECONDS):
                continue
            is_away = self.pusher.is_failing
            self.stop.wait(GATHER_SECONDS_AWAY if is_away else GATHER_SECONDS)
            self._flush()

    def _flush(self) -> None:
        try:
            made = self.outbox.flush()
        except OSError as error:
            log.error("the disk takes no batch", extra={"said": str(error)})  # noqa: TRY400  # the sentence is enough
            self.stop.wait(1.0)
            return
        if made:
            self.pusher.wake()
            self._watch_buffer()

    def _configure(self, config: AgentConfig) -> None:
        self.outbox.max_metrics = config["limits"]["max_batch_metrics"]
        self.heartbeat.seconds = config["heartbeat_seconds"]
        self.probes.configure(config["probe_targets"])
        self.scheduler.configure(config["devices"])

    def _retell(self) -> None:
        """The server lacks entities that we speak of: tell it the whole inventory again, now and then."""
        if time.monotonic() - self._retold_at >= RETELL_SECONDS:
            self._retold_at = time.monotonic()
            self.scheduler.forget_told()

    def _health(self) -> dict[str, float]:
        return {
            "buffer_depth": float(self.buffer.depth),
            "buffer_age_seconds": self.buffer.age(now()),
            "jobs_running": float(self.scheduler.running),
            "poll_errors_total": float(self.scheduler.errors),
            "push_lag_seconds": self.pusher.lag,
        }

    def numbers(self) -> dict[str, float]:
        """What a scrape is told; see ``agent.numbers``."""
        states = Counter(row["state"] for row in self.scheduler.overview())
        last = self.heartbeat.last_at
        return {
            **{f"agent_{name}": value for name, value in self._health().items()},
            "agent_buffer_bytes": float(self.buffer.size),
            "agent_buffer_max_bytes": float(self.buffer.max_bytes),
            "agent_batches_pushed_total": float(self.pusher.pushed),
            "agent_push_failing": float(self.pusher.is_failing),
            "agent_clock_skew_seconds": float(self.heartbeat.skew or 0.0),
            "agent_heartbeat_age_seconds": now() - last if last else inf,
            **{f'agent_devices{{state="{state}"}}': float(n) for state, n in states.items()},
        }

    def _watch_clock(self, skew: float) -> None:
        is_skewed = abs(skew) > SKEW_SECONDS
        if is_skewed != self._was_skewed:
            self._was_skewed = is_skewed
            # The server makes the event: one of ours would bear the wrong time that it is about.
            state = "wrong" if is_skewed else "right again"
            log.warning("the clock is %s", state, extra={"skew_seconds": round(skew, 3)})

    def _watch_buffer(self) -> None:
        share = self.buffer.size / self.buffer.max_bytes
        is_high = share > (HIGH_SHARE / 2 if self._was_high else HIGH_SHARE)
        if is_high != self._was_high:
            self._was_high = is_high
            self._report("agent.buffer.high", is_high, share=round(share, 3))

    def _report(self, event_type: str, is_on: bool, **said: float) -> None:  # noqa: FBT001
        severity = "warn" if is_on else "info"
        payload = {"state": "open" if is_on else "closed", **said}
        log.warning("%s", event_type, extra=payload)
        event = Happening(now(), event_type, "agent", self.agent_id, payload, severity)
        self.outbox.put(Findings(events=(event,)))

    def _note_status(self) -> None:
        last = self.heartbeat.last_at
        status = {
            "at": rfc3339(now()),
            "boot_id": self.outbox.boot_id,
            "config_version": self.keeper.version,
            "last_heartbeat_at": rfc3339(last) if last else None,
            "clock_skew_seconds": self.heartbeat.skew,
            "batches_pushed": self.pusher.pushed,
            **self._health(),
            "devices": self.scheduler.overview(),
        }
        try:
            self._state.save_status(status)
        except OSError as error:  # a full disk stops neither polling nor pushing
            log.warning("status not written", extra={"said": str(error)})
