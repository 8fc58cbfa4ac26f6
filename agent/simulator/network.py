"""The model: what works, given the failures. No I/O and no clock: callers pass the time."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from agent.simulator.blueprint import BgpPeer, Blueprint, Link, Port, PppoeService, Router
from agent.simulator.changes import Change
from agent.simulator.effects import Effects, combine
from agent.simulator.failures.base import Failure
from agent.simulator.history import StateRecord
from agent.simulator.routes import Route, RouteTable, find_routes

ADJACENCY_DELAY = timedelta(seconds=40)  # from boot to the first adjacency
UNKNOWN_TIME = datetime.min.replace(tzinfo=UTC)
MAX_REPLAYED_CHANGES = 100  # changes replayed one by one after a long time without updates


def link_key(link: Link) -> str:
    return f"link/{link.id}"


def port_key(port: Port) -> str:
    return f"port/{port.device}/{port.interface}"


def bgp_key(peer: BgpPeer) -> str:
    return f"bgp/{peer.device}/{peer.name}"


def service_key(service: PppoeService) -> str:
    return f"pppoe/{service.device}/{service.name}"


def device_key(device: Router) -> str:
    return f"device/{device.name}"


@dataclass
class Network:
    """The ISP now: its blueprint, its failures, and the state history of everything."""

    isp: Blueprint
    began_at: datetime
    failures: dict[str, Failure] = field(default_factory=dict)
    records: dict[str, StateRecord] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    last_change_at: datetime = UNKNOWN_TIME  # time of the last change of state
    _effects: Effects = field(default_factory=Effects, init=False, repr=False)
    _route_tables: dict[str, RouteTable] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        self.records = {**dict(self._initial_records()), **self.records}
        if self.last_change_at == UNKNOWN_TIME:
            starts = (failure.at for failure in self.failures.values())
            self.last_change_at = max(starts, default=self.began_at)
        self._combine_effects()

    def inject(self, failure: Failure) -> None:
        """Inject a failure, at its own time."""
        self.failures[failure.id] = failure
        self._update_at(failure.at)

    def heal(self, failure_id: str, *, at: datetime) -> bool:
        """Repair a failure; False if there is none with this id."""
        if self.failures.pop(failure_id, None) is None:
            return False
        self._update_at(at)
        return True

    def next_change_at(self) -> datetime | None:
        """Time of the next change without user action: a flapping link, the end of a boot."""
        changes_at = (
            failure.next_change_at(self.last_change_at) for failure in self.failures.values()
        )
        return min((change_at for change_at in changes_at if change_at is not None), default=None)

    def advance(self, at: datetime) -> bool:
        """Apply all changes without user action until this time; False if there were none."""
        change_at = self.next_change_at()
        if change_at is None or change_at > at:
            return False
        for _ in range(MAX_REPLAYED_CHANGES):
            self._update_at(change_at)
            change_at = self.next_change_at()
            if change_at is None or change_at > at:
                return True
        self._update_at(at)
        return True

    def catch_up(self, at: datetime) -> None:
        """Apply the changes of the time in which the simulator did not run."""
        self._update_at(self.last_change_at)
        self.advance(at)

    def is_up(self, link: Link) -> bool:
        """A link is up if it is not cut and both routers have power."""
        if link.id in self._effects.links_down:
            return False
        return not any(port.device in self._effects.devices_down for port in link.ends())

    def is_alive(self, device: Router) -> bool:
        return device.name not in self._effects.devices_down

    def is_on_battery(self, device: str) -> bool:
        """Whether its first power supply has no input."""
        return device in self._effects.on_battery

    def answers_api(self, device: str) -> bool:
        """Whether its API responds, given a path to it."""
        return device not in self._effects.unresponsive_apis

    def is_established(self, peer: BgpPeer) -> bool:
        """An eBGP session needs its link; an iBGP session needs any path between the loopbacks."""
        if (peer.device, peer.name) in self._effects.peers_down:
            return False
        if peer.remote_device is not None:
            return self.reaches(peer.device, peer.remote_device)
        link = self.isp.link(peer.link or "")
        return link is not None and self.is_up(link)

    def is_served(self, service: PppoeService) -> bool:
        """Whether the concentrator accepts sessions and its subscribers have a path to it."""
        if service.device in self._effects.services_down:
            return False
        return self.reaches(service.access, service.device)

    def reaches(self, origin: str, device: str) -> bool:
        """Whether there is a path of links that are up."""
        return device in self.routes_from(origin)

    def latency(self, origin: str, device: str) -> timedelta:
        """One way along the fastest path; KeyError if there is none."""
        return self.route(origin, device).latency

    def route(self, origin: str, device: str) -> Route:
        """KeyError if there is no path."""
        return self.routes_from(origin).routes[device]

    def routes_from(self, origin: str) -> RouteTable:
        """Cached until the next change, because every datagram needs it."""
        if origin not in self._route_tables:
            self._route_tables[origin] = find_routes(self.isp, origin, self._effects, self.is_up)
        return self._route_tables[origin]

    def record_of(self, thing: Link | Port | BgpPeer | PppoeService | Router) -> StateRecord:
        """State history. Histories of ports and BGP sessions start anew at a boot of the router."""
        return self.records[KEYS[type(thing)](thing)]

    def sessions(self, service: PppoeService, *, at: datetime) -> int:
        """Number of subscribers online. They reconnect one by one after an outage."""
        record = self.record_of(service)
        if not record.up:
            return 0
        if not record.downs:
            return service.population
        share = max(0.0, (at - record.since) / RECONNECT_DURATION)
        return min(service.population, int(service.population * share))

    def _tracked_states(self) -> Iterator[tuple[str, bool]]:
        """Everything that has a state history, with its current state."""
        for device in self.isp.routers:
            yield device_key(device), self.is_alive(device)
        for link in self.isp.links:
            is_up = self.is_up(link)
            yield link_key(link), is_up
            for port in link.ends():
                yield port_key(port), is_up
        for peer in self.isp.bgp_peers:
            yield bgp_key(peer), self.is_established(peer)
        for service in self.isp.services:
            yield service_key(service), self.is_served(service)

    def _combine_effects(self) -> None:
        self._route_tables.clear()
        self._effects = combine(
            f.effects(self.isp, at=self.last_change_at) for f in self.failures.values()
        )

    def _update_at(self, at: datetime) -> None:
        self.last_change_at = at
        self.failures = {k: f for k, f in self.failures.items() if not f.has_ended(at=at)}
        self._combine_effects()
        booted_devices = {d.name for d in self.isp.routers if self._has_just_booted(d)}
        reset_prefixes = tuple(
            f"{kind}/{name}/" for name in booted_devices for kind in ("port", "bgp")
        )
        for key, is_up in self._tracked_states():
            if key.startswith(reset_prefixes):
                self.records[key] = StateRecord(up=is_up, since=at)
            else:
                self.records[key] = self.records[key].with_state(up=is_up, at=at)

    def _has_just_booted(self, device: Router) -> bool:
        """Whether it has just booted."""
        return self.is_alive(device) and not self.record_of(device).up

    def _initial_records(self) -> Iterator[tuple[str, StateRecord]]:
        """Everything came up when the last of the routers involved had booted."""
        for device in self.isp.routers:
            yield device_key(device), StateRecord(up=True, since=self.began_at - device.age)
        for link in self.isp.links:
            record = self._up_since_start(port.device for port in link.ends())
            yield link_key(link), record
            for port in link.ends():
                yield port_key(port), record
        for peer in self.isp.bgp_peers:
            ends = filter(None, (peer.device, peer.remote_device))
            yield bgp_key(peer), self._up_since_start(ends)
        for service in self.isp.services:
            yield service_key(service), self._up_since_start((service.device, service.access))

    def _up_since_start(self, devices: Iterable[str]) -> StateRecord:
        youngest = min(self.isp.router(device).age for device in devices)
        return StateRecord(up=True, since=self.began_at - youngest + ADJACENCY_DELAY)


RECONNECT_DURATION = timedelta(seconds=20)

KEYS: Mapping[type, Callable[..., str]] = {
    Link: link_key,
    Port: port_key,
    BgpPeer: bgp_key,
    PppoeService: service_key,
    Router: device_key,
}
