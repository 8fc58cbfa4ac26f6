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
from agent.samples import Findings

log = logging.getLogger(__name__)

#: Between the datagrams of one round: enough that one short burst of loss does not take all.
GAP_SECONDS = 0.02
#: The rounds of targets with the same interval begin within this time of each other.
SPREAD_SECONDS = 1.0
#: Replies are waited for this much longer than their time limit: the kernel has noted when they came.
GRACE_SECONDS = 0.05
_IDLE_SECONDS = 0.5


@dataclass
class _Asked:
    """A question under way."""

    round: Round
    index: int
    sent_at: float
    sent_steady: float


class ProbeLoop(threading.Thread):
    """Asks every target in its interval and hands over what each round brought."""

    def __init__(
        self,
        emit: Callable[[Findings], None],
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
        self._wanted: dict[str, ProbeTargetConfig] | None = None
        self._ids = count()
        # (steady time, tie-breaker, what to do); what belongs to a target that is gone does nothing.
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._asked: dict[bytes, _Asked] = {}
        self._connecting: dict[socket.socket, _Asked] = {}
        self._reachability = Reachability()

    def configure(self, targets: Sequence[ProbeTargetConfig]) -> None:
        """Ask these from now on. Targets that stay as they were keep their rhythm."""
        known = (UDP_ECHO, TCP)
        for target in targets:
            if target["method"] not in known or target["port"] is None:
                log.warning("probe target of an unknown kind", extra={"target": target["id"]})
        self._wanted = {
            target["id"]: target
            for target in targets
            if target["method"] in known and target["port"] is not None
        }

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.step()
            except Exception:
                log.exception("probe loop failed")
                self._stopped.wait(_IDLE_SECONDS)
        self._close()

    def step(self) -> None:
        """Do what is due, then wait for answers until the next thing is."""
        self._take_config()
        wait = _IDLE_SECONDS
        if self._agenda:
            wait = min(wait, max(0.0, self._agenda[0][0] - time.monotonic()))
        for key, _ in self._selector.select(wait):
            key.data(key.fileobj)
        now = time.monotonic()
        while self._agenda and self._agenda[0][0] <= now:
            heapq.heappop(self._agenda)[2]()

    def _take_config(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is None:
            return
        before = self._targets
        # What is planned knows its target by identity: one that stays as it was stays the same object.
        self._targets = {
            key: before[key] if before.get(key) == target else target
            for key, target in wanted.items()
        }
        self._reachability.configure(wanted.values())
        for target in self._targets.values():
            if before.get(target["id"]) is not target:
                self._plan(first_due(target, time.monotonic()), target)

    def _plan(self, at: float, target: ProbeTargetConfig) -> None:
        self._at(at, lambda: self._begin(target, at))

    def _at(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at, next(self._ids), action))

    def _begin(self, target: ProbeTargetConfig, planned: float) -> None:
        if self._targets.get(target["id"]) is not target:
            return
        now = time.monotonic()
        # After a stall the missed rounds are gone: they are not made up for in a burst.
        late = int((now - planned) // target["interval_s"])
        self._plan(planned + (late + 1) * target["interval_s"], target)
        asked = 1 if target["method"] == TCP else max(1, target["count"])
        last_sent = now + (asked - 1) * GAP_SECONDS
        round_ = Round(target, time.time(), asked, last_sent + target["timeout_s"] + GRACE_SECONDS)
        ask = self._connect if target["method"] == TCP else self._send
        for index in range(asked):
            self._at(now + index * GAP_SECONDS, lambda index=index: ask(round_, index))  # type: ignore[misc]
        self._at(round_.due_until, lambda: self._finish(round_))

    def _send(self, round_: Round, index: int) -> None:
        target = round_.target
        asked = _Asked(round_, index, time.time(), time.monotonic())
        token = self._socket_for(target["address"]).send(target["address"], target["port"] or 0)
        if token is not None:
            self._asked[token] = asked
            round_.tokens.append(token)

    def _socket_for(self, address: str) -> EchoSocket:
        family = family_of(address)
        if family not in self._echo:
            opened = self._echo[family] = EchoSocket(family, self._source)
            self._selector.register(
                opened.socket, selectors.EVENT_READ, lambda _socket: self._receive(opened)
            )
        return self._echo[family]

    def _receive(self, echo: EchoSocket) -> None:
        for reply in echo.replies():
            asked = self._asked.get(reply.token)
            if asked is None or reply.peer.partition("%")[0] != asked.round.target["address"]:
                continue
            del self._asked[reply.token]
            self._answered(asked, reply.at - asked.sent_at, reply.steady - asked.sent_steady)

    def _connect(self, round_: Round, index: int) -> None:
        target = round_.target
        asked = _Asked(round_, index, time.time(), time.monotonic())
        opened = begin_connect(target["address"], target["port"] or 0, self._source)
        if opened is not None:
            self._connecting[opened] = asked
            round_.connecting.append(opened)
            self._selector.register(opened, selectors.EVENT_WRITE, self._connected)

    def _connected(self, opened: socket.socket) -> None:
        asked = self._connecting.pop(opened)
        steady = time.monotonic() - asked.sent_steady
        taken = is_connected(opened)
        self._selector.unregister(opened)
        opened.close()
        if taken:
            self._answered(asked, steady, steady)

    def _answered(self, asked: _Asked, by_clock: float, by_steady: float) -> None:
        # The clock may jump; the kernel's time can only be better than ours if it lies within it.
        seconds = by_clock if 0 <= by_clock <= by_steady else by_steady
        if seconds <= asked.round.target["timeout_s"]:
            asked.round.rtts[asked.index] = seconds * 1000
        if asked.round.is_complete and not asked.round.is_over:
            self._finish(asked.round)

    def _finish(self, round_: Round) -> None:
        if round_.is_over:
            return
        for echo in self._echo.values():
            self._receive(echo)  # what is in already counts, however late we are
        if self._is_over(round_):
            return  # the last answer was among it
        round_.is_over = True
        for token in round_.tokens:
            self._asked.pop(token, None)
        for opened in round_.connecting:
            if self._connecting.pop(opened, None) is not None:
                self._selector.unregister(opened)
                opened.close()
        if self._targets.get(round_.target["id"]) is round_.target:
            self._hand_over(round_)

    @staticmethod
    def _is_over(round_: Round) -> bool:
        return round_.is_over

    def _hand_over(self, round_: Round) -> None:
        reached = self._reachability.judge(round_)
        samples = (*samples_of(round_), *((reached,) if reached else ()))
        self._emit(Findings(samples=samples))

    def _close(self) -> None:
        for echo in self._echo.values():
            echo.close()
        for opened in self._connecting:
            opened.close()
        self._selector.close()


def first_due(target: ProbeTargetConfig, now: float) -> float:
    """The next round on the interval's grid, plus a share of the spread that follows from the target's id."""
    interval = target["interval_s"]
    spread = min(SPREAD_SECONDS, interval / 2)
    offset = zlib.crc32(target["id"].encode()) / 2**32 * spread
    return (now // interval + 1) * interval + offset
