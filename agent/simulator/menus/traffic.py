"""Traffic counters of links: they only grow, fast in the evening and slowly at night."""

import math
from dataclasses import dataclass

from agent.simulator import seeded
from agent.simulator.blueprint import Link, LinkKind, Port

DAY = 86_400
DAILY_SWING = 0.4  # amplitude of the daily oscillation, relative to the mean
PACKET_BYTES = 820
UPLOAD_SHARE = 0.17

# Range of the mean utilization towards the subscribers.
UTILIZATION = {
    LinkKind.CORE: (0.12, 0.30),
    LinkKind.EDGE: (0.15, 0.28),
    LinkKind.BACKHAUL: (0.25, 0.45),
    LinkKind.ACCESS: (0.15, 0.35),
    LinkKind.UPSTREAM: (0.35, 0.55),
}
# On these kinds, downloads of subscribers arrive at the end named a.
INBOUND_AT_A = frozenset({LinkKind.EDGE, LinkKind.UPSTREAM})


@dataclass(frozen=True)
class Counters:
    """Bytes and packets of one port."""

    rx_bytes: int
    tx_bytes: int

    @property
    def rx_packets(self) -> int:
        return self.rx_bytes // PACKET_BYTES

    @property
    def tx_packets(self) -> int:
        return self.tx_bytes // PACKET_BYTES


def bytes_carried(bits_per_second: float, seconds_up: float, *, phase: float) -> int:
    """Bytes after this time up: the integral of a daily oscillation, so it never decreases."""
    angle = 2 * math.pi * seconds_up / DAY
    wave = DAILY_SWING * DAY / (2 * math.pi) * (math.cos(phase) - math.cos(angle + phase))
    return int(bits_per_second / 8 * (seconds_up + wave))


def counters_of(seed: int, link: Link, port: Port, seconds_up: float) -> Counters:
    """Counters of one end of a link. Both ends agree: rx of one is tx of the other."""
    rng = seeded.rng(seed, "traffic", link.id)
    download = link.capacity_bps * rng.uniform(*UTILIZATION[link.kind])
    phase = rng.uniform(0, 2 * math.pi)
    down = bytes_carried(download, seconds_up, phase=phase)
    up = bytes_carried(download * UPLOAD_SHARE, seconds_up, phase=phase)
    is_end_a = port == link.a
    return Counters(down, up) if is_end_a == (link.kind in INBOUND_AT_A) else Counters(up, down)


def counters_of_subscriber(seed: int, device: str, number: int, seconds_up: float) -> Counters:
    """From the concentrator's side: rx is what the subscriber uploads."""
    download = 40_000 + seeded.number(seed, "subscriber", device, number, bits=22)
    down = bytes_carried(download, seconds_up, phase=0.0)
    return Counters(int(down * UPLOAD_SHARE), down)


def counter_fields(counters: Counters) -> dict[str, str]:
    """Counters as in /interface; all packets take the fast path."""
    return {
        "rx-byte": str(counters.rx_bytes),
        "tx-byte": str(counters.tx_bytes),
        "rx-packet": str(counters.rx_packets),
        "tx-packet": str(counters.tx_packets),
        "rx-drop": "0",
        "tx-drop": "0",
        "rx-error": "0",
        "tx-error": "0",
        "tx-queue-drop": "0",
        "fp-rx-byte": str(counters.rx_bytes),
        "fp-tx-byte": str(counters.tx_bytes),
        "fp-rx-packet": str(counters.rx_packets),
        "fp-tx-packet": str(counters.tx_packets),
    }
