"""Reads of the topology: the graph of a tenant's network, now."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from django.db.models import F, Q, QuerySet

from apps.authorization.access import Access
from apps.inventory import selectors as inventory
from apps.inventory.device_entities import neighborhood_of
from apps.inventory.models import Device, Link, OspfNeighbor
from apps.topology import graph, resolve
from apps.topology.graph import Graph, Ref
from apps.topology.models import DependencyGroup, DependencyMember


def graph_snapshot(*, agents: Iterable[graph.AgentLocation] = ()) -> Graph:
    """The whole network as one value: ten queries, whatever its size.

    ``agents`` are passed in, because their app is above this one. Groups whose dependent was deleted, and deleted
    members of groups, are left out: what does not exist cannot fail.
    """
    rows = inventory.network_rows()
    links = _links(rows.links)
    link_index = resolve.LinkIndex.of(links)
    addresses = _owners_of_addresses(rows)
    neighbors = resolve.resolve_ospf_neighbors(
        _ospf_neighbors(rows.ospf_neighbors), link_index, router_ids=addresses
    )
    return graph.build_graph(
        sites=(
            graph.Site(row.id, row.name, row.code, row.latitude, row.longitude)
            for row in rows.sites
        ),
        devices=(graph.Device(row.id, row.name, row.role, row.site_id) for row in rows.devices),
        interfaces=resolve.resolve_interfaces(
            (graph.Interface(row.id, row.device_id, row.name) for row in rows.interfaces),
            link_index,
        ),
        links=links,
        bgp_peers=resolve.resolve_bgp_peers(_bgp_peers(rows), neighbors, addresses=addresses),
        ospf_neighbors=neighbors,
        services=(
            graph.Service(row.id, row.name, row.kind, row.device_id) for row in rows.services
        ),
        probe_targets=(
            graph.ProbeTarget(row.id, row.name, row.method, row.address, row.device_id)
            for row in rows.probe_targets
        ),
        agents=agents,
        groups=_groups(_refs(rows)),
    )


def far_devices_of_neighbors(device: Device) -> dict[UUID, tuple[UUID, str]]:
    """The neighbor device of each of this device's OSPF adjacencies, by adjacency: id and name. Absent where it is not
    certain. Derived from the device and its direct neighbors only; three queries."""
    near = neighborhood_of(device)
    owners: dict[str, set[UUID]] = defaultdict(set)
    for device_id, address in near.addresses.items():
        owners[address].add(device_id)
    resolved = resolve.resolve_ospf_neighbors(
        _ospf_neighbors(near.ospf_neighbors),
        resolve.LinkIndex.of(_links(near.links)),
        router_ids={address: next(iter(ids)) for address, ids in owners.items() if len(ids) == 1},
    )
    return {
        row.id: (row.far_device_id, near.names[row.far_device_id])
        for row in resolved
        if row.device_id == device.id
        and row.far_device_id is not None
        and row.far_device_id in near.names
    }


def members_by_group(group_ids: Iterable[UUID] | None = None) -> dict[UUID, list[Ref]]:
    """The members of these groups, or of all groups, in order. One query."""
    members = DependencyMember.objects.order_by("member_type", "member_id")
    if group_ids is not None:
        members = members.filter(group__in=list(group_ids))
    found: dict[UUID, list[Ref]] = defaultdict(list)
    for group_id, kind, member_id in members.values_list("group_id", "member_type", "member_id"):
        found[group_id].append((kind, member_id))
    return dict(found)


def _owners_of_addresses(rows: inventory.NetworkRows) -> dict[str, UUID]:
    """Management addresses that only one device has (PoPs behind NAT may share one)."""
    owners: dict[str, set[UUID]] = defaultdict(set)
    for device in rows.devices:
        owners[device.management_address].add(device.id)
    return {address: next(iter(ids)) for address, ids in owners.items() if len(ids) == 1}


def _links(rows: Iterable[Link]) -> list[graph.Link]:
    return [
        graph.Link(
            id=row.id,
            name=row.name,
            kind=row.kind,
            a_device_id=row.a_device_id,
            z_device_id=row.z_device_id,
            a_interface_name=row.a_interface_name,
            z_interface_name=row.z_interface_name,
            a_interface_id=row.a_interface_id,
            z_interface_id=row.z_interface_id,
            capacity_bps=row.capacity_bps,
        )
        for row in rows
    ]


def _ospf_neighbors(rows: Iterable[OspfNeighbor]) -> list[graph.OspfNeighbor]:
    return [
        graph.OspfNeighbor(
            id=row.id,
            device_id=row.device_id,
            router_id=row.router_id,
            area=row.area,
            address=row.address,
            interface_name=row.interface_name,
        )
        for row in rows
    ]


def _bgp_peers(rows: inventory.NetworkRows) -> list[graph.BgpPeer]:
    return [
        graph.BgpPeer(
            id=row.id,
            device_id=row.device_id,
            name=row.name,
            remote_address=row.remote_address,
            remote_as=row.remote_as,
        )
        for row in rows.bgp_peers
    ]


def _refs(rows: inventory.NetworkRows) -> set[Ref]:
    sections = (
        (graph.SITE, rows.sites),
        (graph.DEVICE, rows.devices),
        (graph.INTERFACE, rows.interfaces),
        (graph.LINK, rows.links),
        (graph.BGP_PEER, rows.bgp_peers),
        (graph.OSPF_NEIGHBOR, rows.ospf_neighbors),
        (graph.SERVICE, rows.services),
        (graph.PROBE_TARGET, rows.probe_targets),
    )
    return {(kind, row.id) for kind, found in sections for row in found}


def _groups(present: set[Ref]) -> list[graph.DependencyGroup]:
    members = members_by_group()
    found = []
    for row in DependencyGroup.objects.all():
        dependent = (row.dependent_type, row.dependent_id)
        left = tuple(ref for ref in members.get(row.id, ()) if ref in present)
        if dependent in present and left:
            found.append(graph.DependencyGroup(row.id, dependent, row.mode, left, row.k))
    return found


@dataclass(frozen=True)
class MapDevice:
    """A router on a map."""

    id: UUID
    name: str
    role: str
    site_id: UUID | None


@dataclass(frozen=True)
class MapLink:
    """A link on a map, between routers or between sites; ``z_id`` is null where it leaves the network."""

    id: UUID
    name: str
    a_id: UUID
    z_id: UUID | None
    ports: tuple[UUID, ...]
    capacity_bps: int | None = None


@dataclass(frozen=True)
class NetworkMap:
    """Routers and the links between them, without sessions and services."""

    devices: dict[UUID, MapDevice]
    links: tuple[MapLink, ...]

    def between_sites(self) -> tuple[MapLink, ...]:
        """The links between two sites, with the sites as their ends."""
        site_of = {pk: row.site_id for pk, row in self.devices.items()}
        ends = (
            (link, site_of.get(link.a_id), site_of.get(link.z_id or link.a_id))
            for link in self.links
        )
        return tuple(
            replace(link, a_id=near, z_id=far)
            for link, near, far in ends
            if near is not None and far is not None and near != far
        )


def links_between_sites(access: Access, *, role: str = "") -> tuple[MapLink, ...]:
    """The links between sites that a member may see, or those between routers of one role. One query."""
    links = Link.objects.filter(z_device__isnull=False).exclude(a_device__site=F("z_device__site"))
    if role:
        links = links.filter(a_device__role=role, z_device__role=role)
    if access.is_limited:
        visible = inventory.visible_devices(access).order_by().values("pk")
        links = links.filter(a_device__in=visible, z_device__in=visible)
    return _map_links(links.order_by("name"), "a_device__site_id", "z_device__site_id")


def _map_links(links: QuerySet[Link], a_end: str, z_end: str) -> tuple[MapLink, ...]:
    columns = ("pk", "name", a_end, z_end, "a_interface_id", "z_interface_id", "capacity_bps")
    return tuple(
        MapLink(pk, name, a_id, z_id, tuple(port for port in (a_port, z_port) if port), capacity)
        for pk, name, a_id, z_id, a_port, z_port, capacity in links.values_list(*columns)
    )


def network_map(access: Access, around: Collection[UUID] | None = None) -> NetworkMap:
    """The network that a member may see, or these devices with their direct neighbors. Links to hidden devices are
    left out. Two queries."""
    links = Link.objects.order_by("name")
    if around is not None:
        links = links.filter(Q(a_device__in=around) | Q(z_device__in=around))
    map_links = _map_links(links, "a_device_id", "z_device_id")
    rows = inventory.visible_devices(access).order_by("name")
    if around is not None:
        ends = {end for link in map_links for end in (link.a_id, link.z_id) if end}
        rows = rows.filter(pk__in={*around, *ends})
    found = (MapDevice(*row) for row in rows.values_list("pk", "name", "role", "site_id"))
    devices = {device.id: device for device in found}
    visible_links = (link for link in map_links if link.a_id in devices)
    return NetworkMap(
        devices,
        tuple(link for link in visible_links if link.z_id is None or link.z_id in devices),
    )


def dependency_groups() -> list[graph.DependencyGroup]:
    """Groups as operators created them, whether or not their members still exist. Two queries."""
    members = members_by_group()
    return [
        graph.DependencyGroup(
            row.id,
            (row.dependent_type, row.dependent_id),
            row.mode,
            tuple(members.get(row.id, ())),
            row.k,
        )
        for row in DependencyGroup.objects.order_by("pk")
    ]
