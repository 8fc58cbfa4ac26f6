"""The probe loop: one thread and one socket for all targets, however many do not answer."""

import heapq
import logging
import selectors
import socket
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from agent.probes.rounds import TCP, UDP_ECHO, Reachability, Round, samples_of
from agent.probes.sockets import EchoSocket, begin_connect, family_of, is_connected
from agent.protocol.config import ProbeTargetConfig
from agent.samples import PollResult

log = logging.getLogger(__name__)

#: Gap between the datagrams of one round, so that one short burst of loss does not drop all of them.
GAP_SECONDS = 0.02
#: The rounds of targets with the same interval are spread over this time.
SPREAD_SECONDS = 1.0
#: Extra wait after the timeout: the kernel timestamp decides whether a reply was in time.
GRACE_SECONDS = 0.05
_IDLE_SECONDS = 0.5


@dataclass
class _PendingProbe:
    """A probe that is not answered yet."""

    round: Round
    index: int
    sent_at: float
    sent_monotonic: float


class ProbeLoop(threading.Thread):
    """Probes every target at its interval and emits the samples of each round."""

    def __init__(
        self,
        emit: Callable[[PollResult], None],
        stop: threading.Event,
        source_address: str = "",
    ) -> None:
        super().__init__(name="probes", daemon=True)
        self._emit = emit
        self._stopped = stop
        self._source = source_address
        self._selector = selectors.DefaultSelector()
        self._echo: dict[socket.AddressFamily, EchoSocket] = {}
        self._targets: dict[str, ProbeTargetConfig] = {}
        self._new_targets: dict[str, ProbeTargetConfig] | None = None
        self._ids = count()
        # (monotonic time, tie-breaker, action); actions of removed targets do nothing.
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._pending: dict[bytes, _PendingProbe] = {}
        self._connecting: dict[socket.socket, _PendingProbe] = {}
        self._reachability = Reachability()

    def configure(self, targets: Sequence[ProbeTargetConfig]) -> None:
        """Replace the list of targets. Unchanged targets keep their schedule."""
        known = (UDP_ECHO, TCP)
        for target in targets:
            if target["method"] not in known or target["port"] is None:
                log.warning("probe_method_unknown", extra={"target": target["id"]})
        self._new_targets = {
            target["id"]: target
            for target in targets
            if target["method"] in known and target["port"] is not None
        }

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.step()
            except Exception:
                log.exception("probe_loop_failed")
                self._stopped.wait(_IDLE_SECONDS)
        self._close()

    def step(self) -> None:
        """Wait for replies until the next action is due, then run the due actions."""
        self._apply_targets()
        wait = _IDLE_SECONDS
        if self._queue:
            wait = min(wait, max(0.0, self._queue[0][0] - time.monotonic()))
        for key, _ in self._selector.select(wait):
            key.data(key.fileobj)
        now = time.monotonic()
        while self._queue and self._queue[0][0] <= now:
            heapq.heappop(self._queue)[2]()

    def _apply_targets(self) -> None:
        new_targets, self._new_targets = self._new_targets, None
        if new_targets is None:
            return
        before = self._targets
        # Scheduled actions compare targets by identity: an unchanged target stays the same object.
        self._targets = {
            key: before[key] if before.get(key) == target else target
            for key, target in new_targets.items()
        }
        self._reachability.configure(new_targets.values())
        for target in self._targets.values():
            if before.get(target["id"]) is not target:
                self._schedule_round(first_due(target, time.monotonic()), target)

    def _schedule_round(self, at: float, target: ProbeTargetConfig) -> None:
        self._call_at(at, lambda: self._start_round(target, at))

    def _call_at(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (at, next(self._ids), action))

    def _start_round(self, target: ProbeTargetConfig, planned_at: float) -> None:
        if self._targets.get(target["id"]) is not target:
            return
        now = time.monotonic()
        # After a stall the missed rounds are skipped, not sent in a burst.
        missed = int((now - planned_at) // target["interval_s"])
        self._schedule_round(planned_at + (missed + 1) * target["interval_s"], target)
        probe_count = 1 if target["method"] == TCP else max(1, target["count"])
        last_sent = now + (probe_count - 1) * GAP_SECONDS
        round_ = Round(
            target, time.time(), probe_count, last_sent + target["timeout_s"] + GRACE_SECONDS
        )
        send_probe = self._connect if target["method"] == TCP else self._send
        for index in range(probe_count):
            self._call_at(now + index * GAP_SECONDS, lambda index=index: send_probe(round_, index))  # type: ignore[misc]
        self._call_at(round_.deadline, lambda: self._finish(round_))

    def _send(self, round_: Round, index: int) -> None:
        target = round_.target
        probe = _PendingProbe(round_, index, time.time(), time.monotonic())
        token = self._socket_for(target["address"]).send(target["address"], target["port"] or 0)
        if token is not None:
            self._pending[token] = probe
            round_.tokens.append(token)

    def _socket_for(self, address: str) -> EchoSocket:
        family = family_of(address)
        if family not in self._echo:
            echo = self._echo[family] = EchoSocket(family, self._source)
            self._selector.register(
                echo.socket, selectors.EVENT_READ, lambda _socket: self._receive(echo)
            )
        return self._echo[family]

    def _receive(self, echo: EchoSocket) -> None:
        for reply in echo.replies():
            probe = self._pending.get(reply.token)
            if probe is None or reply.peer.partition("%")[0] != probe.round.target["address"]:
                continue
            del self._pending[reply.token]
            self._record_answer(
                probe, reply.at - probe.sent_at, reply.monotonic - probe.sent_monotonic
            )

    def _connect(self, round_: Round, index: int) -> None:
        target = round_.target
        probe = _PendingProbe(round_, index, time.time(), time.monotonic())
        sock = begin_connect(target["address"], target["port"] or 0, self._source)
        if sock is not None:
            self._connecting[sock] = probe
            round_.connecting.append(sock)
            self._selector.register(sock, selectors.EVENT_WRITE, self._connected)

    def _connected(self, sock: socket.socket) -> None:
        probe = self._connecting.pop(sock)
        monotonic = time.monotonic() - probe.sent_monotonic
        is_open = is_connected(sock)
        self._selector.unregister(sock)
        sock.close()
        if is_open:
            self._record_answer(probe, monotonic, monotonic)

    def _record_answer(self, probe: _PendingProbe, by_clock: float, by_monotonic: float) -> None:
        # The wall clock may jump: the kernel timestamp is used only if it is within the monotonic time.
        seconds = by_clock if 0 <= by_clock <= by_monotonic else by_monotonic
        if seconds <= probe.round.target["timeout_s"]:
            probe.round.rtts[probe.index] = seconds * 1000
        if probe.round.is_complete and not probe.round.is_finished:
            self._finish(probe.round)

    def _finish(self, round_: Round) -> None:
        if round_.is_finished:
            return
        for echo in self._echo.values():
            self._receive(echo)  # replies already received count, even when this runs late
        if self._is_finished(round_):
            return  # the last reply has finished the round
        round_.is_finished = True
        for token in round_.tokens:
            self._pending.pop(token, None)
        for sock in round_.connecting:
            if self._connecting.pop(sock, None) is not None:
                self._selector.unregister(sock)
                sock.close()
        if self._targets.get(round_.target["id"]) is round_.target:
            self._emit_samples(round_)

    @staticmethod
    def _is_finished(round_: Round) -> bool:
        return round_.is_finished

    def _emit_samples(self, round_: Round) -> None:
        device_up = self._reachability.update(round_)
        samples = (*samples_of(round_), *((device_up,) if device_up else ()))
        self._emit(PollResult(samples=samples))

    def _close(self) -> None:
        for echo in self._echo.values():
            echo.close()
        for sock in self._connecting:
            sock.close()
        self._selector.close()


def first_due(target: ProbeTargetConfig, now: float) -> float:
    """The next round on the interval's grid, plus a share of the spread derived from the target's id."""
    interval = target["interval_s"]
    spread = min(SPREAD_SECONDS, interval / 2)
    offset = zlib.crc32(target["id"].encode()) / 2**32 * spread
    return (now // interval + 1) * interval + offset
