"""One round of a probe target and what it says. Pure."""

import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from agent.protocol.config import ProbeTargetConfig
from agent.samples import Sample

UDP_ECHO, TCP = "udp_echo", "tcp"
SOURCE = "probe"


@dataclass
class Round:
    """The questions of one round to one target. ``began`` is of this host's clock, ``due_until`` of the steady one."""

    target: ProbeTargetConfig
    began: float
    asked: int
    due_until: float
    rtts: dict[int, float] = field(default_factory=dict)
    #: What its questions under way are known by; empty once it is over.
    tokens: list[bytes] = field(default_factory=list)
    connecting: list[socket.socket] = field(default_factory=list)
    is_over: bool = False

    @property
    def is_answered(self) -> bool:
        """Whether anything came back at all."""
        return bool(self.rtts)

    @property
    def is_complete(self) -> bool:
        return len(self.rtts) >= self.asked


def samples_of(done: Round) -> Iterator[Sample]:
    """The target's samples. No answer, no time: a time that nobody measured is missing, never 0."""
    times = [done.rtts[index] for index in sorted(done.rtts)]
    said: dict[str, float | None]
    if done.target["method"] == TCP:
        said = {"probe.tcp.up": float(done.is_answered), "probe.tcp.connect_ms": mean(times)}
    else:
        said = {
            "probe.ping.loss_pct": 100.0 * (done.asked - len(times)) / done.asked,
            "probe.ping.rtt_ms": mean(times),
            "probe.ping.jitter_ms": jitter(times),
        }
    for metric, value in said.items():
        if value is not None:
            yield Sample(done.began, metric, done.target["id"], value, SOURCE)


def mean(times: Sequence[float]) -> float | None:
    """Milliseconds; None when there is nothing to average."""
    return sum(times) / len(times) if times else None


def jitter(times: Sequence[float]) -> float | None:
    """Mean difference between one answer's time and the next; None with fewer than two answers."""
    return mean([abs(later - earlier) for earlier, later in pairwise(times)])


class Reachability:
    """Whether each device answers: it does if anything that speaks for it answered in its last round."""

    def __init__(self) -> None:
        self._answered: dict[str, bool] = {}
        self._speakers: dict[str, list[str]] = {}

    def configure(self, targets: Iterable[ProbeTargetConfig]) -> None:
        """These speak for their devices from now on."""
        self._speakers = {}
        for target in targets:
            if target["device_id"] is not None:
                self._speakers.setdefault(target["device_id"], []).append(target["id"])
        spoken = {target_id for speakers in self._speakers.values() for target_id in speakers}
        self._answered = {key: value for key, value in self._answered.items() if key in spoken}

    def judge(self, done: Round) -> Sample | None:
        """``device.up`` after this round; None when the target speaks for no device."""
        device_id = done.target["device_id"]
        if device_id is None:
            return None
        self._answered[done.target["id"]] = done.is_answered
        is_up = any(self._answered.get(target_id) for target_id in self._speakers[device_id])
        return Sample(done.began, "device.up", device_id, float(is_up), SOURCE)
