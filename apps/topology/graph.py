"""The network as one immutable value: the input of correlation and of its replays.

Pure: no ORM, no clock. Two graphs with the same content are equal, serialise to the same bytes and have the
same ``version``, however their parts were gathered.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self
from uuid import UUID

import msgspec

#: Rows that are encoded in one call.
ROWS_PER_PART = 500

#: An entity anywhere in the platform: (entity type of the registry, id).
Ref = tuple[str, UUID]

SITE, DEVICE, INTERFACE, LINK = "site", "device", "interface", "link"
BGP_PEER, OSPF_NEIGHBOR = "bgp_peer", "ospf_neighbor"
SERVICE, PROBE_TARGET, AGENT = "service", "probe_target", "agent"

ANY, ALL, K_OF_N = "any", "all", "k_of_n"


@dataclass(frozen=True, slots=True)
class Site:
    """A PoP, a tower, a data centre."""

    id: UUID
    name: str
    code: str = ""
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A router."""

    id: UUID
    name: str
    role: str
    site_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """A port of a router; ``link_id`` is the link that ends on it, if one does."""

    id: UUID
    device_id: UUID
    name: str
    link_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A link between two routers. Its interfaces are null until they are discovered.

    ``z_device_id`` is null for a link that leaves the network (an upstream).
    """

    id: UUID
    name: str
    kind: str
    a_device_id: UUID
    z_device_id: UUID | None
    a_interface_name: str = ""
    z_interface_name: str = ""
    a_interface_id: UUID | None = None
    z_interface_id: UUID | None = None
    capacity_bps: int | None = None


@dataclass(frozen=True, slots=True)
class BgpPeer:
    """A BGP session as its router names it; ``far_device_id`` is null when the peer is not in the inventory.

    ``link_id`` is the link that it runs over, only where that is certain (a directly connected peer).
    """

    id: UUID
    device_id: UUID
    name: str
    remote_address: str
    remote_as: int
    link_id: UUID | None = None
    far_device_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class OspfNeighbor:
    """An adjacency as one of its two routers reports it; ``link_id`` only where that is certain."""

    id: UUID
    device_id: UUID
    router_id: str
    area: str
    address: str
    interface_name: str = ""
    link_id: UUID | None = None
    far_device_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A customer service, measured at a device: PPPoE on a BNG, a transit."""

    id: UUID
    name: str
    kind: str
    device_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """A target that agents probe from outside, with its device if it represents one."""

    id: UUID
    name: str
    method: str
    address: str
    device_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class AgentLocation:
    """The device that an agent is attached to (null: unknown, so its probes prove nothing unreachable), and the
    devices that it probes."""

    id: UUID
    name: str
    device_id: UUID | None = None
    probes: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class DependencyGroup:
    """The dependent works while any / all / at least k of the members work."""

    id: UUID
    dependent: Ref
    mode: str
    members: tuple[Ref, ...]
    k: int | None = None

    @property
    def needed(self) -> int:
        """Number of members that must work."""
        if self.mode == ANY:
            return min(1, len(self.members))
        if self.mode == ALL:
            return len(self.members)
        return min(self.k or 0, len(self.members))


@dataclass(frozen=True)
class Graph:
    """A tenant's network at one moment. Create it with ``build_graph``, which puts it in canonical order."""

    sites: tuple[Site, ...] = ()
    devices: tuple[Device, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    links: tuple[Link, ...] = ()
    bgp_peers: tuple[BgpPeer, ...] = ()
    ospf_neighbors: tuple[OspfNeighbor, ...] = ()
    services: tuple[Service, ...] = ()
    probe_targets: tuple[ProbeTarget, ...] = ()
    agents: tuple[AgentLocation, ...] = ()
    groups: tuple[DependencyGroup, ...] = ()

    def as_document(self) -> dict[str, Any]:
        """JSON-safe content, in canonical order."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The graph of a document that ``as_document`` created; unknown keys (of a newer version) are ignored.

        Raises msgspec.ValidationError for any other document.
        """
        return msgspec.convert(document, cls)

    def canonical_parts(self) -> Iterator[bytes]:
        """The canonical document as JSON, in parts: names sorted, no spaces.

        The encoder holds the GIL for a whole call: the 20 MB of a large network in one call would block every other
        thread of the process.
        """
        for number, name in enumerate(sorted(item.name for item in fields(self))):
            yield f'{"," if number else "{"}"{name}":['.encode()
            rows = getattr(self, name)
            for start in range(0, len(rows), ROWS_PER_PART):
                part = msgspec.to_builtins(rows[start : start + ROWS_PER_PART])
                # Not msgspec's encoder: stored versions are digests of this one's bytes.
                text = json.dumps(part, sort_keys=True, separators=(",", ":"))
                yield f"{',' if start else ''}{text[1:-1]}".encode()
            yield b"]"
        yield b"}"

    @cached_property
    def version(self) -> str:
        """SHA-256 of the canonical document, in hexadecimal."""
        return version_of(self.canonical_parts())

    @cached_property
    def device_by_id(self) -> Mapping[UUID, Device]:
        return {row.id: row for row in self.devices}

    @cached_property
    def link_by_id(self) -> Mapping[UUID, Link]:
        return {row.id: row for row in self.links}

    @cached_property
    def links_of_device(self) -> Mapping[UUID, tuple[Link, ...]]:
        """Links by each of their two devices; a device without links is absent."""
        found: dict[UUID, list[Link]] = {}
        for link in self.links:
            for device_id in {link.a_device_id, link.z_device_id} - {None}:
                found.setdefault(device_id, []).append(link)  # type: ignore[arg-type]  # None is out
        return {device_id: tuple(rows) for device_id, rows in found.items()}

    def knows(self, ref: Ref) -> bool:
        """Whether the entity is in the graph."""
        return ref in self._labels

    def label_of(self, ref: Ref) -> str:
        """The display name of an entity; its type and id when the graph does not contain it."""
        return self._labels.get(ref, f"{ref[0]} {ref[1]}")

    def device_of(self, ref: Ref) -> UUID | None:
        """The device of an entity; null for sites, links and entities without a device."""
        return self._device_ids.get(ref)

    @cached_property
    def _device_ids(self) -> Mapping[Ref, UUID | None]:
        found: dict[Ref, UUID | None] = {(DEVICE, row.id): row.id for row in self.devices}
        for entity_type, rows in self._on_devices():
            found.update({(entity_type, row.id): row.device_id for row in rows})
        return found

    @cached_property
    def _labels(self) -> Mapping[Ref, str]:
        names = {row.id: row.name for row in self.devices}
        found: dict[Ref, str] = {(DEVICE, key): name for key, name in names.items()}
        for entity_type, named in ((SITE, self.sites), (LINK, self.links), (AGENT, self.agents)):
            found.update({(entity_type, row.id): row.name for row in named})
        for entity_type, rows in ((SERVICE, self.services), (PROBE_TARGET, self.probe_targets)):
            found.update({(entity_type, row.id): row.name for row in rows})
        for port in self.interfaces:
            found[INTERFACE, port.id] = f"{names.get(port.device_id, '?')} {port.name}"
        for peer in self.bgp_peers:
            name = peer.name or f"{peer.remote_address} AS{peer.remote_as}"
            found[BGP_PEER, peer.id] = f"{names.get(peer.device_id, '?')} {name}"
        for row in self.ospf_neighbors:
            far = names.get(row.far_device_id) if row.far_device_id else None
            found[OSPF_NEIGHBOR, row.id] = (
                f"{names.get(row.device_id, '?')} to {far or row.router_id}"
            )
        return found

    def _on_devices(self) -> Iterable[tuple[str, Iterable[Any]]]:
        yield INTERFACE, self.interfaces
        yield BGP_PEER, self.bgp_peers
        yield OSPF_NEIGHBOR, self.ospf_neighbors
        yield SERVICE, self.services
        yield PROBE_TARGET, self.probe_targets
        yield AGENT, self.agents


def build_graph(
    *,
    sites: Iterable[Site] = (),
    devices: Iterable[Device] = (),
    interfaces: Iterable[Interface] = (),
    links: Iterable[Link] = (),
    bgp_peers: Iterable[BgpPeer] = (),
    ospf_neighbors: Iterable[OspfNeighbor] = (),
    services: Iterable[Service] = (),
    probe_targets: Iterable[ProbeTarget] = (),
    agents: Iterable[AgentLocation] = (),
    groups: Iterable[DependencyGroup] = (),
) -> Graph:
    """A graph in canonical order: rows by id, members of groups by type and id without duplicates."""
    return Graph(
        sites=_by_id(sites),
        devices=_by_id(devices),
        interfaces=_by_id(interfaces),
        links=_by_id(links),
        bgp_peers=_by_id(bgp_peers),
        ospf_neighbors=_by_id(ospf_neighbors),
        services=_by_id(services),
        probe_targets=_by_id(probe_targets),
        agents=_by_id(agents),
        groups=_by_id(
            DependencyGroup(
                id=group.id,
                dependent=group.dependent,
                mode=group.mode,
                members=tuple(sorted(set(group.members))),
                k=group.k,
            )
            for group in groups
        ),
    )


def version_of(parts: Iterable[bytes]) -> str:
    """The version of the graph whose ``canonical_parts`` these are."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _by_id(rows: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(rows, key=lambda row: row.id))
