"""The model: what works, given what is broken. No I/O and no clock: whoever asks says what time it is."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent.simulator.blueprint import BgpPeer, Blueprint, Link, PppoeService
from agent.simulator.failures import Failure
from agent.simulator.history import Record

SETTLING = timedelta(seconds=40)  # from power-on to the first adjacency


@dataclass(frozen=True)
class Reached:
    """How far somebody gets from one place: one-way latency to every router that answers."""

    latencies: Mapping[str, timedelta]

    def __contains__(self, device: str) -> bool:
        return device in self.latencies


def link_key(link: Link) -> str:
    return f"link/{link.id}"


def bgp_key(peer: BgpPeer) -> str:
    return f"bgp/{peer.device}/{peer.name}"


def service_key(service: PppoeService) -> str:
    return f"pppoe/{service.device}/{service.name}"


@dataclass
class Network:
    """The ISP as it is now: its blueprint, what is broken, and since when everything is as it is."""

    isp: Blueprint
    began_at: datetime
    failures: dict[str, Failure] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    _reached: dict[str, Reached] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.records = {**dict(self._first_records()), **self.records}

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

    def is_up(self, link: Link) -> bool:
        return not any(failure.breaks(link.id) for failure in self.failures.values())

    def is_established(self, peer: BgpPeer) -> bool:
        """An eBGP session lives on its wire; an iBGP session wherever a path is left between loopbacks."""
        if peer.remote_device is not None:
            return self.reaches(peer.device, peer.remote_device)
        link = self.isp.link(peer.link or "")
        return link is not None and self.is_up(link)

    def is_served(self, service: PppoeService) -> bool:
        """Whether the concentrator's subscribers have a way to it."""
        return self.reaches(service.access, service.device)

    def reaches(self, place: str, device: str) -> bool:
        """Whether working links join the two."""
        return device in self.reached_from(place)

    def latency(self, place: str, device: str) -> timedelta:
        """One way along the fastest path; KeyError if there is none."""
        return self.reached_from(place).latencies[device]

    def reached_from(self, place: str) -> Reached:
        """Kept until something breaks or heals: every datagram asks for it."""
        if place not in self._reached:
            self._reached[place] = Reached(self._explore(place))
        return self._reached[place]

    def record_of(self, thing: Link | BgpPeer | PppoeService) -> Record:
        """Since when this link, BGP session or service is as it is."""
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

    def _explore(self, place: str) -> dict[str, timedelta]:
        """Dijkstra without a heap: twelve routers need none."""
        latencies = {place: timedelta(0)}
        queue = deque([place])
        while queue:
            here = queue.popleft()
            for link, _ in self.isp.links_at(here):
                far = link.far_from(here)
                if far is None or not self.is_up(link):
                    continue
                candidate = latencies[here] + link.latency
                if far.device not in latencies or candidate < latencies[far.device]:
                    latencies[far.device] = candidate
                    queue.append(far.device)
        return latencies

    def _things(self) -> Iterator[tuple[str, bool]]:
        """Everything that has a history, with whether it works now."""
        for link in self.isp.links:
            yield link_key(link), self.is_up(link)
        for peer in self.isp.bgp_peers:
            yield bgp_key(peer), self.is_established(peer)
        for service in self.isp.services:
            yield service_key(service), self.is_served(service)

    def _take_note(self, at: datetime) -> None:
        self._reached.clear()
        for key, works in self._things():
            self.records[key] = self.records[key].turned(up=works, at=at)

    def _first_records(self) -> Iterator[tuple[str, Record]]:
        """Everything came up when the later of the routers involved had started."""
        for link in self.isp.links:
            yield link_key(link), self._since_start(port.device for port in link.ends())
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
    BgpPeer: bgp_key,
    PppoeService: service_key,
}
