"""The model: what works, given what is broken. No I/O and no clock: whoever asks says what time it is."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from agent.simulator.blueprint import BgpPeer, Blueprint, Link, Port, PppoeService, Router
from agent.simulator.changes import Change
from agent.simulator.effects import Effects, sum_of
from agent.simulator.failures.base import Failure
from agent.simulator.history import Record
from agent.simulator.reach import Reached, Trip, explore

SETTLING = timedelta(seconds=40)  # from power-on to the first adjacency
EVER = datetime.min.replace(tzinfo=UTC)
MOST_TURNS = 100  # that are lived through one by one when nobody looked for a long time


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
    """The ISP as it is now: its blueprint, what is broken, and since when everything is as it is."""

    isp: Blueprint
    began_at: datetime
    failures: dict[str, Failure] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    noted_at: datetime = EVER  # the last time that something turned
    _effects: Effects = field(default_factory=Effects, init=False, repr=False)
    _reached: dict[str, Reached] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        self.records = {**dict(self._first_records()), **self.records}
        if self.noted_at == EVER:
            begins = (failure.at for failure in self.failures.values())
            self.noted_at = max(begins, default=self.began_at)
        self._add_up()

    def break_(self, failure: Failure) -> None:
        """The failure happens, at its own time."""
        self.failures[failure.id] = failure
        self._take_note(failure.at)

    def heal(self, failure_id: str, *, at: datetime) -> bool:
        """The failure is repaired; False if there is none of that id."""
        if self.failures.pop(failure_id, None) is None:
            return False
        self._take_note(at)
        return True

    def next_turn(self) -> datetime | None:
        """When something will change by itself: a flapping link, a router that has booted."""
        turns = (failure.next_turn(self.noted_at) for failure in self.failures.values())
        return min((turn for turn in turns if turn is not None), default=None)

    def advance(self, at: datetime) -> bool:
        """Lives through everything that changes by itself until then; False if nothing did."""
        turn = self.next_turn()
        if turn is None or turn > at:
            return False
        for _ in range(MOST_TURNS):
            self._take_note(turn)
            turn = self.next_turn()
            if turn is None or turn > at:
                return True
        self._take_note(at)
        return True

    def catch_up(self, at: datetime) -> None:
        """After a time in which nobody ran the model."""
        self._take_note(self.noted_at)
        self.advance(at)

    def is_up(self, link: Link) -> bool:
        """Light needs a whole fibre and two routers with power."""
        if link.id in self._effects.dark_links:
            return False
        return not any(port.device in self._effects.dead_devices for port in link.ends())

    def is_alive(self, device: Router) -> bool:
        return device.name not in self._effects.dead_devices

    def is_on_battery(self, device: str) -> bool:
        """Whether its first supply has lost its input."""
        return device in self._effects.on_battery

    def answers_api(self, device: str) -> bool:
        """Whether its API says anything, given a path to it."""
        return device not in self._effects.silent_apis

    def is_established(self, peer: BgpPeer) -> bool:
        """An eBGP session lives on its wire; an iBGP session wherever a path is left between loopbacks."""
        if (peer.device, peer.name) in self._effects.broken_peers:
            return False
        if peer.remote_device is not None:
            return self.reaches(peer.device, peer.remote_device)
        link = self.isp.link(peer.link or "")
        return link is not None and self.is_up(link)

    def is_served(self, service: PppoeService) -> bool:
        """Whether the concentrator takes sessions and its subscribers have a way to it."""
        if service.device in self._effects.dead_services:
            return False
        return self.reaches(service.access, service.device)

    def reaches(self, place: str, device: str) -> bool:
        """Whether working links join the two."""
        return device in self.reached_from(place)

    def latency(self, place: str, device: str) -> timedelta:
        """One way along the fastest path; KeyError if there is none."""
        return self.trip(place, device).latency

    def trip(self, place: str, device: str) -> Trip:
        """KeyError if there is no path."""
        return self.reached_from(place).trips[device]

    def reached_from(self, place: str) -> Reached:
        """Kept until something breaks or heals: every datagram asks for it."""
        if place not in self._reached:
            self._reached[place] = explore(self.isp, place, self._effects, self.is_up)
        return self._reached[place]

    def record_of(self, thing: Link | Port | BgpPeer | PppoeService | Router) -> Record:
        """Since when it is as it is. A router forgets what its ports and BGP sessions did before its boot."""
        return self.records[KEYS[type(thing)](thing)]

    def sessions(self, service: PppoeService, *, at: datetime) -> int:
        """How many subscribers are online. They come back one by one after an outage."""
        record = self.record_of(service)
        if not record.up:
            return 0
        if not record.downs:
            return service.population
        elapsed = max(0.0, (at - record.since) / RETURN_OF_SUBSCRIBERS)
        return min(service.population, int(service.population * elapsed))

    def _things(self) -> Iterator[tuple[str, bool]]:
        """Everything that has a history, with whether it works now."""
        for device in self.isp.routers:
            yield device_key(device), self.is_alive(device)
        for link in self.isp.links:
            works = self.is_up(link)
            yield link_key(link), works
            for port in link.ends():
                yield port_key(port), works
        for peer in self.isp.bgp_peers:
            yield bgp_key(peer), self.is_established(peer)
        for service in self.isp.services:
            yield service_key(service), self.is_served(service)

    def _add_up(self) -> None:
        self._reached.clear()
        self._effects = sum_of(
            f.effects(self.isp, at=self.noted_at) for f in self.failures.values()
        )

    def _take_note(self, at: datetime) -> None:
        self.noted_at = at
        self.failures = {k: f for k, f in self.failures.items() if not f.is_over(at=at)}
        self._add_up()
        booted = {d.name for d in self.isp.routers if self._boots(d)}
        forgetful = tuple(f"{kind}/{name}/" for name in booted for kind in ("port", "bgp"))
        for key, works in self._things():
            if key.startswith(forgetful):
                self.records[key] = Record(up=works, since=at)
            else:
                self.records[key] = self.records[key].turned(up=works, at=at)

    def _boots(self, device: Router) -> bool:
        """Whether it has just come back."""
        return self.is_alive(device) and not self.record_of(device).up

    def _first_records(self) -> Iterator[tuple[str, Record]]:
        """Everything came up when the later of the routers involved had started."""
        for device in self.isp.routers:
            yield device_key(device), Record(up=True, since=self.began_at - device.age)
        for link in self.isp.links:
            record = self._since_start(port.device for port in link.ends())
            yield link_key(link), record
            for port in link.ends():
                yield port_key(port), record
        for peer in self.isp.bgp_peers:
            ends = filter(None, (peer.device, peer.remote_device))
            yield bgp_key(peer), self._since_start(ends)
        for service in self.isp.services:
            yield service_key(service), self._since_start((service.device, service.access))

    def _since_start(self, devices: Iterable[str]) -> Record:
        youngest = min(self.isp.router(device).age for device in devices)
        return Record(up=True, since=self.began_at - youngest + SETTLING)


RETURN_OF_SUBSCRIBERS = timedelta(seconds=20)

KEYS: Mapping[type, Callable[..., str]] = {
    Link: link_key,
    Port: port_key,
    BgpPeer: bgp_key,
    PppoeService: service_key,
    Router: device_key,
}
