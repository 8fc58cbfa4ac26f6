"""A generated ISP drawn from a seed: hubs in a ring, PoPs behind them. Pure: same seed, same network, same ids."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from uuid import UUID, uuid5

from agent.protocol import ids
from apps.lab.seed.sizes import BOARDS, CARRIERS, CITIES, DISTRICTS, VERSIONS, Size

_SPACE = UUID("5b6c1f0e-6f0e-4a57-9a3c-2f4f5f6a7b8c")
GIGABIT = 1_000_000_000
SPARE_PORTS = 4


def namespace_of(size: Size, seed: int) -> UUID:
    """Of every id of this network; it is the tenant's own id too."""
    return uuid5(_SPACE, f"{size.slug}:{seed}")


@dataclass(frozen=True)
class PlannedSite:
    id: UUID
    name: str
    code: str
    latitude: float
    longitude: float
    region: int
    #: 0: the hub of its region.
    number: int


@dataclass
class PlannedDevice:
    id: UUID
    name: str
    role: str
    site: PlannedSite
    address: str
    board: str
    version: str
    serial: str
    #: Ports in the order in which the router lists them.
    ports: list[str] = field(default_factory=list)

    def port_id(self, name: str) -> UUID:
        """The interface id, as agents compute it."""
        return ids.interface_id(self.id, name)

    def take_port(self) -> str:
        """The next free port, for a link."""
        name = f"sfp-sfpplus{len(self.ports) + 1}"
        self.ports.append(name)
        return name


@dataclass(frozen=True)
class PlannedLink:
    id: UUID
    name: str
    kind: str
    a: PlannedDevice
    a_port: str
    z: PlannedDevice | None
    z_port: str
    capacity_bps: int

    def ends(self) -> Iterator[tuple[PlannedDevice, str, PlannedDevice]]:
        """Each end with its port and who is at the other one; none where it leaves the network."""
        if self.z is not None:
            yield self.a, self.a_port, self.z
            yield self.z, self.z_port, self.a

    def adjacency_id(self, device: PlannedDevice, far: PlannedDevice) -> UUID:
        """Of the OSPF neighbour that ``device`` sees over it."""
        return ids.ospf_neighbor_id(device.id, far.address, AREA, far.address)


AREA = "backbone"


@dataclass(frozen=True)
class PlannedPeer:
    device: PlannedDevice
    name: str
    address: str
    remote_as: int
    is_outside: bool = False

    @property
    def id(self) -> UUID:
        return ids.bgp_peer_id(self.device.id, self.name, self.address, str(self.remote_as))


@dataclass(frozen=True)
class PlannedService:
    id: UUID
    name: str
    kind: str
    device: PlannedDevice
    #: Sessions at the busiest hour; 0 for services without subscribers.
    subscribers: int


@dataclass(frozen=True)
class PlannedAgent:
    id: UUID
    name: str
    region: int
    attached: PlannedDevice


@dataclass
class Network:
    """The whole generated network."""

    size: Size
    space: UUID
    sites: list[PlannedSite] = field(default_factory=list)
    devices: list[PlannedDevice] = field(default_factory=list)
    links: list[PlannedLink] = field(default_factory=list)
    peers: list[PlannedPeer] = field(default_factory=list)
    services: list[PlannedService] = field(default_factory=list)
    agents: list[PlannedAgent] = field(default_factory=list)

    def id_of(self, *words: object) -> UUID:
        """A stable id of this network."""
        return uuid5(self.space, ":".join(map(str, words)))

    @cached_property
    def devices_of_site(self) -> Mapping[UUID, list[PlannedDevice]]:
        found: dict[UUID, list[PlannedDevice]] = {}
        for device in self.devices:
            found.setdefault(device.site.id, []).append(device)
        return found

    @cached_property
    def linked_ports(self) -> set[UUID]:
        """Ports that are ends of a link."""
        ends = {link.a.port_id(link.a_port) for link in self.links}
        return ends | {link.z.port_id(link.z_port) for link in self.links if link.z is not None}


def draw_network(size: Size, seed: int) -> Network:
    """The network of this size and seed."""
    rng = Random(f"{size.slug}:{seed}")
    network = Network(size, namespace_of(size, seed))
    hubs = [_draw_hub(network, rng, region) for region in range(size.regions)]
    for (_, this), (following, _) in zip(hubs, [*hubs[1:], hubs[0]], strict=True):
        if size.regions > 1:
            _connect(network, "ring", this, following, 100)
    spare = size.devices - len(network.devices)
    for number in range(size.pops):
        cores = hubs[number % size.regions]
        count = spare // size.pops + (number < spare % size.pops)
        _draw_pop(network, rng, number, cores, count)
    for device in network.devices:
        wanted = max(size.ports_per_device, len(device.ports) + SPARE_PORTS)
        free = wanted - len(device.ports)
        device.ports += [*(f"ether{n}" for n in range(1, free - 1)), "bridge-mgmt", "lo"]
    return network


def _draw_hub(network: Network, rng: Random, region: int) -> tuple[PlannedDevice, PlannedDevice]:
    city, code, latitude, longitude = CITIES[region]
    site = PlannedSite(
        network.id_of("site", code), f"{city} Hub", code, latitude, longitude, region, 0
    )
    network.sites.append(site)
    cr1, cr2, er1, er2 = (
        _device(network, rng, site, name, role)
        for name, role in (("cr1", "core"), ("cr2", "core"), ("er1", "edge"), ("er2", "edge"))
    )
    _connect(network, "other", cr1, cr2, 100)
    for edge, core in ((er1, cr1), (er2, cr2)):
        _connect(network, "edge", edge, core, 100)
        for inner, outer in ((edge, core), (core, edge)):
            network.peers.append(
                PlannedPeer(inner, f"ibgp-{outer.name}", outer.address, network.size.as_number)
            )
    for number, edge in enumerate((er1, er2)):
        carrier, as_number = CARRIERS[(region + number) % len(CARRIERS)]
        port = edge.take_port()
        name = f"{carrier} {code}-{number + 1}"
        network.links.append(
            PlannedLink(
                network.id_of("link", name), name, "edge", edge, port, None, "", 40 * GIGABIT
            )
        )
        network.peers.append(
            PlannedPeer(
                edge,
                f"{carrier.lower()}-v4",
                f"192.0.2.{2 * region + number + 1}",
                as_number,
                is_outside=True,
            )
        )
        network.services.append(
            PlannedService(network.id_of("service", name), f"Transit {name}", "transit", edge, 0)
        )
    network.agents.append(
        PlannedAgent(network.id_of("agent", code), f"agent-{code.lower()}", region, cr1)
    )
    return cr1, cr2


def _draw_pop(
    network: Network,
    rng: Random,
    number: int,
    cores: tuple[PlannedDevice, PlannedDevice],
    count: int,
) -> None:
    """A PoP of so many routers behind its hub; every fourth has two backhauls."""
    hub = cores[0].site
    index = number // network.size.regions
    city = CITIES[hub.region][0]
    site = PlannedSite(
        network.id_of("site", hub.code, index),
        f"{city} {DISTRICTS[index % len(DISTRICTS)]}",
        f"{hub.code}{index + 1:02d}",
        round(hub.latitude + rng.uniform(-0.45, 0.45), 5),
        round(hub.longitude + rng.uniform(-0.55, 0.55), 5),
        hub.region,
        index + 1,
    )
    network.sites.append(site)
    agg = _device(network, rng, site, "agg1", "agg")
    near, other = cores if index % 2 else cores[::-1]
    _connect(network, "backhaul", near, agg, 10)
    if index % 4 == 3:
        _connect(network, "backhaul", other, agg, 10)
    if count > 1:
        bng = _device(network, rng, site, "bng1", "bng")
        _connect(network, "access", agg, bng, 10)
        name = f"pppoe-{site.code.lower()}"
        sessions = min(2_500, max(40, round(rng.lognormvariate(6.2, 0.7))))
        network.services.append(
            PlannedService(ids.pppoe_service_id(bng.id, name), name, "pppoe", bng, sessions)
        )
    for n in range(1, count - 1):
        access = _device(network, rng, site, f"acc{n}", "access")
        _connect(network, "access", agg, access, 1 if n % 3 else 10)


def _device(
    network: Network, rng: Random, site: PlannedSite, name: str, role: str
) -> PlannedDevice:
    device_name = f"{name}-{site.code.lower()}"
    here = sum(1 for row in network.devices[-20:] if row.site is site)
    device = PlannedDevice(
        id=network.id_of("device", device_name),
        name=device_name,
        role=role,
        site=site,
        address=f"10.{64 + site.region}.{site.number}.{here + 1}",
        board=rng.choice(BOARDS[role]),
        version=rng.choices(VERSIONS, (50, 20, 20, 10))[0],
        serial=f"{rng.getrandbits(44):011X}",
    )
    network.devices.append(device)
    return device


def _connect(
    network: Network, kind: str, a: PlannedDevice, z: PlannedDevice, gigabits: int
) -> None:
    name = f"{a.name} - {z.name}"
    network.links.append(
        PlannedLink(
            id=network.id_of("link", name),
            name=name,
            kind=kind,
            a=a,
            a_port=a.take_port(),
            z=z,
            z_port=z.take_port(),
            capacity_bps=gigabits * GIGABIT,
        )
    )
