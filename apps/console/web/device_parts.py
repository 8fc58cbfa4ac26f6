"""The tables of a device page: ports, adjacencies, sessions, services, probes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext_lazy as _lazy

from apps.console.web.latest_values import LatestValues
from apps.console.web.sparklines import Spark, spark
from apps.inventory.models import (
    BgpPeer,
    Device,
    Interface,
    Link,
    OspfNeighbor,
)
from apps.pages.durations import format_seconds
from apps.pages.states import BLIND, DOWN, OFF, UNKNOWN, UP, State
from apps.telemetry.queries import Bucket
from apps.telemetry.store import SeriesKey
from apps.telemetry.utilization import BUSY_PCT, FULL_PCT, MAX_BPS, RX, TX

#: An interface that is not part of a link may be down.
NO_LINK = State("off", "minus", _lazy("No link"), 7)

ERRORS = ("interface.rx_errors_total", "interface.tx_errors_total")
RATES = (RX, TX, *ERRORS)
RTT, LOSS, CONNECT = "probe.ping.rtt_ms", "probe.ping.loss_pct", "probe.tcp.connect_ms"
SESSIONS = "pppoe.sessions.active"
DRAWN = (RTT, CONNECT, SESSIONS)
READ = (
    *("device.up", "device.api.up", "device.poll.ms", "device.uptime_seconds", "device.cpu_pct"),
    *("device.mem_used_bytes", "device.mem_total_bytes"),
    *("interface.oper_up", "interface.admin_up", "interface.speed_bps"),
    *("bgp.peer.up", "bgp.peer.state", "bgp.peer.prefixes_in", "bgp.peer.uptime_seconds"),
    *("ospf.neighbor.up", "ospf.neighbor.state", "ospf.neighbor.uptime_seconds"),
    *(RTT, LOSS, CONNECT, "probe.tcp.up", SESSIONS),
)
BAR_WIDTH = 56
#: Polling jitter: a measured rate may exceed the speed of the interface by this factor.
RATE_TOLERANCE = 1.25
SECONDS_PER_HOUR = 3600
THREE_DIGITS = 100

Rates = Mapping[SeriesKey, Sequence[float | None]]
Drawn = Mapping[SeriesKey, Sequence[Bucket]]


@dataclass(frozen=True)
class Flow:
    """Traffic in one direction: the rate, and the utilization of the interface."""

    rate: str = ""
    percent: int | None = None
    bar: int = 0
    look: str = ""

    @property
    def is_flowing(self) -> bool:
        """Whether there is any traffic."""
        return self.rate not in {"", "0"}


@dataclass(frozen=True)
class InterfaceRow:
    """One interface."""

    id: UUID
    name: str
    comment: str
    state: State
    seen_ago: str
    connected_to: str
    connected_to_id: UUID | None
    is_linked: bool
    speed: str
    inward: Flow
    outward: Flow
    line: Spark | None
    errors: str
    has_errors: bool


@dataclass(frozen=True)
class NeighborRow:
    """One OSPF adjacency."""

    adjacency: OspfNeighbor
    #: The remote device, where it is known and visible.
    neighbor: str
    neighbor_id: UUID | None
    state: State
    word: str
    duration: str


@dataclass(frozen=True)
class PeerRow:
    """One BGP session."""

    peer: BgpPeer
    state: State
    word: str
    prefixes: str
    duration: str


@dataclass(frozen=True)
class ServiceRow:
    """One service, by its sessions."""

    name: str
    kind: str
    sessions: str
    seen_ago: str
    state: State
    line: Spark | None


@dataclass(frozen=True)
class ProbeRow:
    """One probe target."""

    name: str
    method: str
    address: str
    state: State
    rtt: str
    loss: str
    has_loss: bool
    line: Spark | None


def interface_rows(
    interfaces: Sequence[Interface],
    remote_ends: Mapping[str, "RemoteEnd"],
    read: LatestValues,
    rates: Rates,
) -> tuple[InterfaceRow, ...]:
    """Interfaces with a link first, then in natural order of names."""
    rows = [_interface(row, remote_ends.get(row.name), read, rates) for row in interfaces]
    return tuple(sorted(rows, key=lambda row: (not row.is_linked, row.state.rank == NO_LINK.rank)))


@dataclass(frozen=True)
class RemoteEnd:
    """The remote end of an interface's link."""

    port: str
    name: str
    device_id: UUID | None
    capacity_bps: int | None


def remote_ends_of(
    device: Device, links: Sequence[Link], named: Collection[UUID]
) -> Mapping[str, RemoteEnd]:
    """Remote ends by interface. A remote device that is not among the ``named`` is shown by the name of the link."""
    ends = [_remote_end(link, device, named) for link in links]
    return {end.port: end for end in ends}


def _remote_end(link: Link, device: Device, named: Collection[UUID]) -> RemoteEnd:
    is_a = link.a_device_id == device.id
    far = link.z_device if is_a else link.a_device
    port = link.a_interface_name if is_a else link.z_interface_name
    if far is None or far.id not in named:
        return RemoteEnd(port, link.name, None, link.capacity_bps)
    return RemoteEnd(port, far.name, far.id, link.capacity_bps)


def _interface(
    row: Interface, end: RemoteEnd | None, read: LatestValues, rates: Rates
) -> InterfaceRow:
    state = read.state(row.id, "interface.oper_up")
    if row.disabled or read.number(row.id, "interface.admin_up") == 0:
        state = OFF
    elif state is DOWN and end is None:
        state = NO_LINK
    speed = (
        read.number(row.id, "interface.speed_bps")
        or row.speed_bps
        or (end.capacity_bps if end else None)
    )
    by_metric = {name: rates.get(SeriesKey("interface", row.id, name), ()) for name in RATES}
    limit = hardware_speed(row, read.number(row.id, "interface.speed_bps"))
    by_metric |= {name: possible_rates(by_metric[name], limit) for name in (RX, TX)}
    errors = [value for name in ERRORS for value in by_metric[name] if value is not None]
    per_hour = sum(errors) / len(errors) * len(ERRORS) * SECONDS_PER_HOUR if errors else None
    return InterfaceRow(
        id=row.id,
        name=row.name,
        comment=row.comment,
        state=state,
        seen_ago=read.age(row.id, "interface.oper_up") if state is BLIND else "",
        connected_to=end.name if end else "",
        connected_to_id=end.device_id if end else None,
        is_linked=end is not None,
        speed=bits(speed) if speed else "",
        inward=_flow(by_metric[RX] if state is UP else (), speed),
        outward=_flow(by_metric[TX] if state is UP else (), speed),
        line=spark(_sum(by_metric[RX], by_metric[TX])),
        errors="" if per_hour is None or state is BLIND else f"{per_hour:.0f}",
        has_errors=bool(per_hour and per_hour >= 1),
    )


def _sum(one: Sequence[float | None], other: Sequence[float | None]) -> list[float | None]:
    pairs = zip(one, other, strict=False)
    return [None if a is None or b is None else a + b for a, b in pairs]


def possible_rates(rates: Sequence[float | None], speed: float | None) -> list[float | None]:
    """Drops rates that the interface cannot have: the counter was reset, by a restart or a replacement. ``speed`` is
    that of the hardware, as the router reports it; None: unknown."""
    limit = speed * RATE_TOLERANCE if speed else MAX_BPS
    return [None if rate is None or rate * 8 > limit else rate for rate in rates]


def hardware_speed(row: Interface, reported: float | None) -> float | None:
    """The speed of a port that traffic cannot exceed. What an operator noted is what is bought, not a limit."""
    return reported or (None if "speed_bps" in row.operator_fields else row.speed_bps)


def _flow(rates: Sequence[float | None], speed: float | None) -> Flow:
    """The newest of the last two buckets: the last one may still be empty."""
    now = next((rate for rate in reversed(rates[-2:]) if rate is not None), None)
    if now is None:
        return Flow()
    percent = round(now * 8 / speed * 100) if speed else None
    look = (
        ""
        if percent is None or percent < BUSY_PCT
        else "warn"
        if percent < FULL_PCT
        else "critical"
    )
    return Flow(bits(now * 8), percent, round(BAR_WIDTH * min(percent or 0, 100) / 100), look)


def bits(per_second: float) -> str:
    """Bits per second with an SI prefix: 940 M, 9.8 G."""
    for bound, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if per_second >= bound:
            number = per_second / bound
            is_fully_visible = number >= THREE_DIGITS or number == int(number)
            return f"{number:.0f} {letter}" if is_fully_visible else f"{number:.1f} {letter}"
    return f"{per_second:.0f}"


def _uptime_text(read: LatestValues, state: State, entity_id: UUID, metric: str) -> str:
    """The uptime; a session that is down keeps its last value, which is not shown."""
    seconds = read.number(entity_id, metric) if state is UP else None
    return format_seconds(seconds) if seconds else ""


def neighbor_rows(
    rows: Sequence[OspfNeighbor], far: Mapping[UUID, tuple[UUID, str]], read: LatestValues
) -> tuple[NeighborRow, ...]:
    """Adjacencies, those that are down first; ``far`` maps each to its remote device."""
    found = []
    for row in rows:
        state = read.state(row.id, "ospf.neighbor.up")
        neighbor_id, neighbor = far.get(row.id, (None, ""))
        found.append(
            NeighborRow(
                adjacency=row,
                neighbor=neighbor,
                neighbor_id=neighbor_id,
                state=state,
                word=_word(state, read.text(row.id, "ospf.neighbor.state")),
                duration=_uptime_text(read, state, row.id, "ospf.neighbor.uptime_seconds"),
            )
        )
    return tuple(sorted(found, key=lambda row: row.state.rank))


def peer_rows(rows: Sequence[BgpPeer], read: LatestValues) -> tuple[PeerRow, ...]:
    """Sessions, those that are down first."""
    found = []
    for row in rows:
        state = OFF if row.disabled else read.state(row.id, "bgp.peer.up")
        prefixes = read.number(row.id, "bgp.peer.prefixes_in")
        found.append(
            PeerRow(
                peer=row,
                state=state,
                word=_word(state, read.text(row.id, "bgp.peer.state")),
                prefixes="" if prefixes is None else f"{prefixes:.0f}",
                duration=_uptime_text(read, state, row.id, "bgp.peer.uptime_seconds"),
            )
        )
    return tuple(sorted(found, key=lambda row: row.state.rank))


def _word(state: State, text: str) -> str:
    return text.capitalize() if text and state not in {BLIND, UNKNOWN, OFF} else str(state.word)
