"""One probe round of a target and its samples. Pure."""

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
    """The probes of one round to one target. ``started_at`` is wall-clock time, ``deadline`` is monotonic time."""

    target: ProbeTargetConfig
    started_at: float
    probe_count: int
    deadline: float
    rtts: dict[int, float] = field(default_factory=dict)
    #: Tokens and sockets of the probes that were sent.
    tokens: list[bytes] = field(default_factory=list)
    connecting: list[socket.socket] = field(default_factory=list)
    is_finished: bool = False

    @property
    def is_answered(self) -> bool:
        """Whether at least one probe was answered."""
        return bool(self.rtts)

    @property
    def is_complete(self) -> bool:
        return len(self.rtts) >= self.probe_count


def samples_of(round_: Round) -> Iterator[Sample]:
    """The target's samples. Without an answer the round-trip time is missing, never 0."""
    times = [round_.rtts[index] for index in sorted(round_.rtts)]
    values: dict[str, float | None]
    if round_.target["method"] == TCP:
        values = {"probe.tcp.up": float(round_.is_answered), "probe.tcp.connect_ms": mean(times)}
    else:
        values = {
            "probe.ping.loss_pct": 100.0 * (round_.probe_count - len(times)) / round_.probe_count,
            "probe.ping.rtt_ms": mean(times),
            "probe.ping.jitter_ms": jitter(times),
        }
    for metric, value in values.items():
        if value is not None:
            yield Sample(round_.started_at, metric, round_.target["id"], value, SOURCE)


def mean(times: Sequence[float]) -> float | None:
    """Milliseconds; None when there is nothing to average."""
    return sum(times) / len(times) if times else None


def jitter(times: Sequence[float]) -> float | None:
    """Mean difference between one answer's time and the next; None with fewer than two answers."""
    return mean([abs(later - earlier) for earlier, later in pairwise(times)])


class Reachability:
    """Reachability of devices: a device is up if any of its targets answered in the target's last round."""

    def __init__(self) -> None:
        self._answered: dict[str, bool] = {}
        self._targets_of: dict[str, list[str]] = {}

    def configure(self, targets: Iterable[ProbeTargetConfig]) -> None:
        """Replace the list of targets."""
        self._targets_of = {}
        for target in targets:
            if target["device_id"] is not None:
                self._targets_of.setdefault(target["device_id"], []).append(target["id"])
        known = {target_id for target_ids in self._targets_of.values() for target_id in target_ids}
        self._answered = {key: value for key, value in self._answered.items() if key in known}

    def update(self, round_: Round) -> Sample | None:
        """``device.up`` after this round; None when the target belongs to no device."""
        device_id = round_.target["device_id"]
        if device_id is None:
            return None
        self._answered[round_.target["id"]] = round_.is_answered
        is_up = any(self._answered.get(target_id) for target_id in self._targets_of[device_id])
        return Sample(round_.started_at, "device.up", device_id, float(is_up), SOURCE)
