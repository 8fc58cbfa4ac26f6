"""The part of a network that one failure touches, as the verdict's graph: verdicts on whole networks of thousands of
routers would take hours, with the same result."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from apps.lab.seed.network import (
    AREA,
    Network,
    PlannedAgent,
    PlannedDevice,
    PlannedLink,
    PlannedPeer,
    PlannedService,
)
from apps.topology import graph
from apps.topology.graph import Graph


@dataclass(frozen=True)
class Branch:
    """One or two hubs and the devices below one of them."""

    key: str
    region: int
    devices: tuple[PlannedDevice, ...]
    links: tuple[PlannedLink, ...]
    peers: tuple[PlannedPeer, ...]
    services: tuple[PlannedService, ...]
    agents: tuple[PlannedAgent, ...]

    @cached_property
    def own(self) -> tuple[PlannedDevice, ...]:
        """The devices below the hub; of a branch of hubs alone, the hubs'."""
        below = tuple(device for device in self.devices if device.site.number)
        return below or self.devices

    def reached(self, *, cut: Collection[UUID] = (), dead: Collection[UUID] = ()) -> set[UUID]:
        """Devices that the agents still reach with these links cut and these devices dead."""
        beside: dict[UUID, list[UUID]] = {}
        for link in self.links:
            if link.z is not None and link.id not in cut:
                beside.setdefault(link.a.id, []).append(link.z.id)
                beside.setdefault(link.z.id, []).append(link.a.id)
        open_ends = [agent.attached.id for agent in self.agents if agent.attached.id not in dead]
        found = set(open_ends)
        while open_ends:
            for device_id in beside.get(open_ends.pop(), ()):
                if device_id not in found and device_id not in dead:
                    found.add(device_id)
                    open_ends.append(device_id)
        return found

    @cached_property
    def graph(self) -> Graph:
        """As correlation would read it from the inventory."""
        sites = {device.site.id: device.site for device in self.devices}
        ports = [(link, d, port) for link in self.links for d, port, _far in link.ends()]
        outer = [(link, link.a, link.a_port) for link in self.links if link.z is None]
        return graph.build_graph(
            sites=(
                graph.Site(row.id, row.name, row.code, row.latitude, row.longitude)
                for row in sites.values()
            ),
            devices=(graph.Device(d.id, d.name, d.role, d.site.id) for d in self.devices),
            interfaces=(
                graph.Interface(device.port_id(port), device.id, port, link.id)
                for link, device, port in (*ports, *outer)
            ),
            links=(_link(row) for row in self.links),
            bgp_peers=(
                graph.BgpPeer(row.id, row.device.id, row.name, row.address, row.remote_as)
                for row in self.peers
            ),
            ospf_neighbors=(
                graph.OspfNeighbor(
                    id=link.adjacency_id(device, far),
                    device_id=device.id,
                    router_id=far.address,
                    area=AREA,
                    address=far.address,
                    interface_name=port,
                    link_id=link.id,
                    far_device_id=far.id,
                )
                for link in self.links
                for device, port, far in link.ends()
            ),
            services=(
                graph.Service(row.id, row.name, row.kind, row.device.id) for row in self.services
            ),
            agents=(
                graph.AgentLocation(
                    row.id,
                    row.name,
                    row.attached.id,
                    tuple(d.id for d in self.devices if d.site.region == row.region),
                )
                for row in self.agents
            ),
        )


def _link(row: PlannedLink) -> graph.Link:
    return graph.Link(
        id=row.id,
        name=row.name,
        kind=row.kind,
        a_device_id=row.a.id,
        z_device_id=row.z.id if row.z else None,
        a_interface_name=row.a_port,
        z_interface_name=row.z_port,
        a_interface_id=row.a.port_id(row.a_port),
        z_interface_id=row.z.port_id(row.z_port) if row.z else None,
        capacity_bps=row.capacity_bps,
    )


def branches_of(network: Network) -> list[Branch]:
    """A branch per PoP, and one per hub with the next one in the ring."""
    hubs: dict[int, list[PlannedDevice]] = {}
    for device in network.devices:
        if not device.site.number:
            hubs.setdefault(device.site.region, []).append(device)
    touching: dict[UUID, list[PlannedLink]] = {}
    for link in network.links:
        for end in (link.a, link.z):
            if end is not None:
                touching.setdefault(end.id, []).append(link)
    found = []
    for site in network.sites:
        hub = hubs[site.region]
        if site.number:
            here = network.devices_of_site[site.id]
            found.append(_branch(network, touching, site.code, [*hub, *here]))
        else:
            following = hubs[(site.region + 1) % network.size.regions]
            both = {d.id: d for d in (*hub, *following)}.values()
            found.append(_branch(network, touching, site.code, both))
    return found


def _branch(
    network: Network,
    touching: dict[UUID, list[PlannedLink]],
    key: str,
    devices: Iterable[PlannedDevice],
) -> Branch:
    devices = tuple(devices)
    here = {device.id for device in devices}
    links = {link.id: link for device_id in here for link in touching.get(device_id, ())}
    regions = {device.site.region for device in devices}
    return Branch(
        key=key,
        region=devices[0].site.region,
        devices=devices,
        links=tuple(
            sorted(
                (
                    link
                    for link in links.values()
                    if link.a.id in here and (link.z is None or link.z.id in here)
                ),
                key=lambda link: link.name,
            )
        ),
        peers=tuple(row for row in network.peers if row.device.id in here),
        services=tuple(row for row in network.services if row.device.id in here),
        agents=tuple(row for row in network.agents if row.region in regions),
    )
