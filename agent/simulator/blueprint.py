"""What the ISP built: sites, routers, wires and who talks BGP with whom. Nothing here ever changes."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class LinkKind(StrEnum):
    """What a wire is for."""

    CORE = "core"
    BACKHAUL = "backhaul"
    ACCESS = "access"
    EDGE = "edge"
    UPSTREAM = "upstream"


@dataclass(frozen=True)
class Site:
    """A place with equipment."""

    key: str
    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Port:
    """One end of a wire."""

    device: str
    interface: str
    address: str
    prefix_length: int = 30


@dataclass(frozen=True)
class Link:
    """One wire. An upstream's far end stands in somebody else's house, so it has no z."""

    id: str
    kind: LinkKind
    capacity_bps: int
    medium: str
    provider: str | None
    latency: timedelta
    a: Port
    z: Port | None

    def ends(self) -> tuple[Port, ...]:
        return (self.a,) if self.z is None else (self.a, self.z)

    def far_from(self, device: str) -> Port | None:
        """The other end, seen from one of ours."""
        return self.z if self.a.device == device else self.a


@dataclass(frozen=True)
class Router:
    """One router, as bought and racked."""

    name: str
    role: str
    site: str
    address: str
    router_id: str
    number: int
    board: str
    cpu_count: int
    memory_bytes: int
    serial_number: str
    os: str  # version of RouterOS
    age: timedelta  # how long it had been running when the simulation first began


@dataclass(frozen=True)
class BgpPeer:
    """One configured BGP connection. `link` is the wire an eBGP session lives and dies with."""

    device: str
    name: str
    kind: str  # "ebgp" or "ibgp"
    local_address: str
    local_as: int
    remote_address: str
    remote_as: int
    remote_device: str | None
    link: str | None
    prefix_count: int


@dataclass(frozen=True)
class PppoeService:
    """What a concentrator sells: sessions come in from the access router, across the wires between.

    Where both are one router there are none between.
    """

    device: str
    access: str
    name: str
    interface: str
    population: int
    pool: str  # first two octets of the subscribers' addresses


@dataclass(frozen=True)
class Vantage:
    """Where an agent stands, and what it polls from there."""

    name: str
    source_address: str
    site: str
    attached_to: str
    polls: tuple[str, ...]


@dataclass(frozen=True)
class Blueprint:
    """The whole ISP as drawn for one seed."""

    seed: int
    isp: str
    zone_name: str
    zone_offset: timedelta
    username: str
    password: str
    server_at: str
    strangers_at: str  # where a source address nobody knows is taken to be attached
    sites: tuple[Site, ...]
    routers: tuple[Router, ...]
    links: tuple[Link, ...]
    bgp_peers: tuple[BgpPeer, ...]
    services: tuple[PppoeService, ...]
    agents: tuple[Vantage, ...]

    def router(self, name: str) -> Router:
        return next(router for router in self.routers if router.name == name)

    def link(self, link_id: str) -> Link | None:
        return next((link for link in self.links if link.id == link_id), None)

    def links_at(self, device: str) -> tuple[tuple[Link, Port], ...]:
        """The wires in a router's ports, in the order of the ports."""
        return tuple(
            (link, port) for link in self.links for port in link.ends() if port.device == device
        )

    def service_at(self, device: str) -> PppoeService | None:
        return next((service for service in self.services if service.device == device), None)

    def place_of(self, source_address: str) -> str:
        """The router behind which somebody asks, told by the address they ask from."""
        return next(
            (agent.attached_to for agent in self.agents if agent.source_address == source_address),
            self.strangers_at,
        )
