"""The ISP as built: sites, routers, links and BGP peers. Immutable."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class LinkKind(StrEnum):
    """Role of a link."""

    CORE = "core"
    BACKHAUL = "backhaul"
    ACCESS = "access"
    EDGE = "edge"
    UPSTREAM = "upstream"


@dataclass(frozen=True)
class Site:
    """A site with equipment."""

    key: str
    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Port:
    """One end of a link."""

    device: str
    interface: str
    address: str
    prefix_length: int = 30


@dataclass(frozen=True)
class Link:
    """One link. The far end of an upstream belongs to the provider, so it has no z."""

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

    def far_end(self, device: str) -> Port | None:
        """The port at the other end, seen from this device."""
        return self.z if self.a.device == device else self.a


@dataclass(frozen=True)
class Router:
    """One router: its hardware, addresses and version."""

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
    age: timedelta  # uptime when the simulation first started


@dataclass(frozen=True)
class BgpPeer:
    """One configured BGP connection. `link` is the link of an eBGP session, which is down when the link is."""

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
    """The PPPoE service of a concentrator: sessions arrive from the access router, across the links between.

    The concentrator may be the access router itself.
    """

    device: str
    access: str
    name: str
    interface: str
    population: int
    pool: str  # first two octets of the subscribers' addresses


@dataclass(frozen=True)
class AgentPlacement:
    """Position of an agent in the network, and the routers that it polls."""

    name: str
    source_address: str
    site: str
    attached_to: str
    polls: tuple[str, ...]


@dataclass(frozen=True)
class Blueprint:
    """The whole ISP as generated from one seed."""

    seed: int
    isp: str
    zone_name: str
    zone_offset: timedelta
    username: str
    password: str
    server_at: str
    unknown_sources_at: str  # router to which unknown source addresses are attached
    sites: tuple[Site, ...]
    routers: tuple[Router, ...]
    links: tuple[Link, ...]
    bgp_peers: tuple[BgpPeer, ...]
    services: tuple[PppoeService, ...]
    agents: tuple[AgentPlacement, ...]

    def router(self, name: str) -> Router:
        return next(router for router in self.routers if router.name == name)

    def link(self, link_id: str) -> Link | None:
        return next((link for link in self.links if link.id == link_id), None)

    def links_at(self, device: str) -> tuple[tuple[Link, Port], ...]:
        """The links of a router with its ports, in the order of the ports."""
        return tuple(
            (link, port) for link in self.links for port in link.ends() if port.device == device
        )

    def service_at(self, device: str) -> PppoeService | None:
        return next((service for service in self.services if service.device == device), None)

    def attachment_of(self, source_address: str) -> str:
        """The router to which a client is attached, by its source address."""
        return next(
            (agent.attached_to for agent in self.agents if agent.source_address == source_address),
            self.unknown_sources_at,
        )
