"""Resolve the link that an adjacency, a session or a port belongs to. Pure; ambiguous cases stay unresolved.

RouterOS names the interface of an OSPF neighbor in v6, and in v7 only on broadcast networks; point-to-point
rows have only a router id and the neighbor's address. Three facts, strongest first, identify the link:
the named interface; two rows that are each other's neighbor inside one /31 or /30; a router id that only one of the
device's neighbors can own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from uuid import UUID

from apps.topology.graph import BgpPeer, Interface, Link, OspfNeighbor

#: Links have two ends, so their subnets are /31 or /30 (IPv6: /127 or /126).
_LINK_PREFIXES = {4: (31, 30), 6: (127, 126)}


@dataclass(frozen=True)
class LinkIndex:
    """The links, indexed by their ends."""

    links: tuple[Link, ...]
    by_end: Mapping[tuple[UUID, str], Link] = field(repr=False)
    by_pair: Mapping[frozenset[UUID], tuple[Link, ...]] = field(repr=False)
    adjacent: Mapping[UUID, frozenset[UUID]] = field(repr=False)

    @classmethod
    def of(cls, links: Iterable[Link]) -> "LinkIndex":
        """Index these links; an end that two links claim is assigned to neither."""
        rows = tuple(sorted(links, key=lambda link: link.id))
        by_end: dict[tuple[UUID, str], list[Link]] = {}
        by_pair: dict[frozenset[UUID], list[Link]] = {}
        adjacent: dict[UUID, set[UUID]] = {}
        for link in rows:
            ends = (
                (link.a_device_id, link.a_interface_name),
                (link.z_device_id, link.z_interface_name),
            )
            for device_id, name in ends:
                if device_id is not None and name:
                    by_end.setdefault((device_id, name), []).append(link)
            if link.z_device_id is not None and link.z_device_id != link.a_device_id:
                by_pair.setdefault(frozenset((link.a_device_id, link.z_device_id)), []).append(link)
                adjacent.setdefault(link.a_device_id, set()).add(link.z_device_id)
                adjacent.setdefault(link.z_device_id, set()).add(link.a_device_id)
        return cls(
            links=rows,
            by_end={end: found[0] for end, found in by_end.items() if len(found) == 1},
            by_pair={pair: tuple(found) for pair, found in by_pair.items()},
            adjacent={device_id: frozenset(far) for device_id, far in adjacent.items()},
        )

    def at_end(self, device_id: UUID, interface_name: str) -> Link | None:
        """The link that ends on this interface."""
        return self.by_end.get((device_id, interface_name)) if interface_name else None

    def between(self, one: UUID, other: UUID) -> tuple[Link, ...]:
        """Every link between two devices (parallel links occur)."""
        return self.by_pair.get(frozenset((one, other)), ())

    def far_end(self, link: Link, device_id: UUID) -> UUID | None:
        """The device at the other end, null when the link leaves the network."""
        return link.z_device_id if link.a_device_id == device_id else link.a_device_id


def resolve_interfaces(interfaces: Iterable[Interface], link_index: LinkIndex) -> list[Interface]:
    """Each interface with the link that ends on it: by id, else by the interface name of the link."""
    by_id = {
        interface_id: link.id
        for link in link_index.links
        for interface_id in (link.a_interface_id, link.z_interface_id)
        if interface_id is not None
    }
    resolved = []
    for row in interfaces:
        named = link_index.at_end(row.device_id, row.name)
        link_id = by_id.get(row.id) or (named.id if named else None)
        resolved.append(replace(row, link_id=link_id))
    return resolved


def resolve_ospf_neighbors(
    neighbors: Iterable[OspfNeighbor],
    link_index: LinkIndex,
    *,
    router_ids: Mapping[str, UUID] | None = None,
) -> list[OspfNeighbor]:
    """Each adjacency with its far device and link, where they are certain.

    ``router_ids`` are router ids that are already known (management addresses that are used as router ids).
    """
    rows = sorted(neighbors, key=lambda row: row.id)
    link_of: dict[UUID, UUID] = {}
    owners = _RouterIdOwners(router_ids or {})
    for row in rows:
        link = link_index.at_end(row.device_id, row.interface_name)
        if link is not None:
            link_of[row.id] = link.id
            owners.add_claim(row.router_id, link_index.far_end(link, row.device_id))
    pairs = _facing_rows(rows)
    for row in rows:
        if row.id in pairs:
            owners.add_claim(row.router_id, pairs[row.id].device_id)
    owners.infer(rows, link_index)
    for row in rows:
        if row.id not in link_of:
            _resolve_by_far_device(row, owners, pairs, link_index, link_of)
    return [
        replace(row, link_id=link_of.get(row.id), far_device_id=owners.of(row.router_id))
        for row in rows
    ]


def resolve_bgp_peers(
    peers: Iterable[BgpPeer],
    neighbors: Iterable[OspfNeighbor],
    *,
    addresses: Mapping[str, UUID] | None = None,
) -> list[BgpPeer]:
    """Each session with its far device and, if it is directly connected, its link.

    ``neighbors`` are resolved adjacencies: a peer at the address of one runs over that link. ``addresses`` are
    the devices' management addresses: a session between loopbacks has a far device and no link of its own.
    """
    by_address = {(row.device_id, row.address): row for row in neighbors if row.address}
    known = addresses or {}
    resolved = []
    for peer in peers:
        facing = by_address.get((peer.device_id, peer.remote_address))
        far = facing.far_device_id if facing else known.get(peer.remote_address)
        resolved.append(
            replace(
                peer,
                link_id=facing.link_id if facing else None,
                far_device_id=far if far != peer.device_id else None,
            )
        )
    return resolved


class _RouterIdOwners:
    """Which device owns a router id; an id that is claimed for two devices has no owner."""

    def __init__(self, known: Mapping[str, UUID]) -> None:
        self._claims: dict[str, set[UUID]] = {key: {device_id} for key, device_id in known.items()}

    def add_claim(self, router_id: str, device_id: UUID | None) -> None:
        if device_id is not None and router_id:
            self._claims.setdefault(router_id, set()).add(device_id)

    def of(self, router_id: str) -> UUID | None:
        claims = self._claims.get(router_id, set())
        return next(iter(claims)) if len(claims) == 1 else None

    def infer(self, rows: list[OspfNeighbor], link_index: LinkIndex) -> None:
        """Assign an unclaimed router id to the only device that is linked to all devices with that neighbor, until
        nothing changes."""
        observers: dict[str, set[UUID]] = {}
        for row in rows:
            if row.router_id and row.router_id not in self._claims:
                observers.setdefault(row.router_id, set()).add(row.device_id)
        while observers:
            claimed = {device_id for claims in self._claims.values() for device_id in claims}
            assignments: dict[UUID, list[str]] = {}
            for router_id, device_ids in observers.items():
                options = frozenset.intersection(
                    *(link_index.adjacent.get(observer, frozenset()) for observer in device_ids)
                )
                remaining = options - claimed - device_ids
                if len(remaining) == 1:
                    assignments.setdefault(next(iter(remaining)), []).append(router_id)
            certain = {ids[0]: device_id for device_id, ids in assignments.items() if len(ids) == 1}
            if not certain:
                return
            for router_id, device_id in certain.items():
                self._claims[router_id] = {device_id}
                del observers[router_id]


def _resolve_by_far_device(
    row: OspfNeighbor,
    owners: _RouterIdOwners,
    pairs: Mapping[UUID, OspfNeighbor],
    link_index: LinkIndex,
    link_of: dict[UUID, UUID],
) -> None:
    facing = pairs.get(row.id)
    if facing is not None and facing.id in link_of:
        link_of[row.id] = link_of[facing.id]
        return
    far = owners.of(row.router_id)
    candidates = link_index.between(row.device_id, far) if far else ()
    if len(candidates) == 1:
        link_of[row.id] = candidates[0].id


def _facing_rows(rows: list[OspfNeighbor]) -> dict[UUID, OspfNeighbor]:
    """Rows of two devices that are the two ends of one link: the only two in a /31 or /30."""
    found: dict[UUID, OspfNeighbor] = {}
    for width in (0, 1):
        by_subnet: dict[IPv4Network | IPv6Network, list[OspfNeighbor]] = {}
        for row in rows:
            subnet = _subnet(row.address, width)
            if subnet is not None and row.id not in found:
                by_subnet.setdefault(subnet, []).append(row)
        for members in by_subnet.values():
            if len(members) != 2:  # noqa: PLR2004  (a link has two ends)
                continue
            one, other = members
            if one.device_id != other.device_id and one.address != other.address:
                found[one.id], found[other.id] = other, one
    return found


def _subnet(address: str, width: int) -> IPv4Network | IPv6Network | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return ip_network(f"{parsed}/{_LINK_PREFIXES[parsed.version][width]}", strict=False)
