"""The network seen from where we look, asked what a failure would do. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from uuid import UUID

from apps.incidents.rca.snapshot import Snapshot
from apps.incidents.rca.works import Network
from apps.topology.graph import DEVICE, LINK, SITE, BgpPeer, Interface, Link, OspfNeighbor, Ref

Failed = frozenset[Ref]
NOTHING: Failed = frozenset()


class World:
    """A snapshot's network, wired once; answers are remembered per set of failures."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.graph = snapshot.graph
        self._network = Network(snapshot.graph)
        self._known: dict[tuple[tuple[Ref, ...], Failed], frozenset[Ref]] = {}

    @cached_property
    def eyes(self) -> tuple[Ref, ...]:
        """Where living agents sit: what they cannot reach, we cannot see."""
        return tuple(
            sorted(
                {
                    (DEVICE, agent.device_id)
                    for agent in self.graph.agents
                    if agent.id in self.snapshot.alive_agents and agent.device_id is not None
                }
            )
        )

    @cached_property
    def doors(self) -> tuple[Ref, ...]:
        """Where the network meets the world; where we look from, if no upstream is known."""
        doors = {(DEVICE, link.a_device_id) for link in self.graph.links if not link.z_device_id}
        return tuple(sorted(doors)) or self.eyes

    def seen(self, failed: Failed) -> frozenset[Ref]:
        """What a living agent could still reach."""
        return self._working(self.eyes, failed)

    def served(self, failed: Failed) -> frozenset[Ref]:
        """What still has a way to the world."""
        return self._working(self.doors, failed)

    def reaches(self, device_id: UUID, other_id: UUID, failed: Failed) -> bool:
        """Whether two routers of ours can still talk."""
        return (DEVICE, other_id) in self._working(((DEVICE, device_id),), failed)

    def _working(self, roots: tuple[Ref, ...], failed: Failed) -> frozenset[Ref]:
        key = (roots, failed)
        if key not in self._known:
            self._known[key] = self._network.working(roots=roots, failed=failed)
        return self._known[key]

    @cached_property
    def interface_by_id(self) -> Mapping[UUID, Interface]:
        return {row.id: row for row in self.graph.interfaces}

    @cached_property
    def bgp_peer_by_id(self) -> Mapping[UUID, BgpPeer]:
        return {row.id: row for row in self.graph.bgp_peers}

    @cached_property
    def adjacency_by_id(self) -> Mapping[UUID, OspfNeighbor]:
        return {row.id: row for row in self.graph.ospf_neighbors}

    @cached_property
    def interfaces_of_link(self) -> Mapping[UUID, tuple[UUID, ...]]:
        found: dict[UUID, list[UUID]] = defaultdict(list)
        for row in self.graph.interfaces:
            if row.link_id is not None:
                found[row.link_id].append(row.id)
        return {link_id: tuple(ids) for link_id, ids in found.items()}

    @cached_property
    def adjacencies_of_link(self) -> Mapping[UUID, tuple[UUID, ...]]:
        found: dict[UUID, list[UUID]] = defaultdict(list)
        for row in self.graph.ospf_neighbors:
            if row.link_id is not None:
                found[row.link_id].append(row.id)
        return {link_id: tuple(ids) for link_id, ids in found.items()}

    @cached_property
    def devices_of_site(self) -> Mapping[UUID, tuple[UUID, ...]]:
        found: dict[UUID, list[UUID]] = defaultdict(list)
        for row in self.graph.devices:
            if row.site_id is not None:
                found[row.site_id].append(row.id)
        return {site_id: tuple(ids) for site_id, ids in found.items()}

    def links_of(self, device_id: UUID) -> tuple[Link, ...]:
        return self.graph.links_of_device.get(device_id, ())

    def links_between(self, one: UUID, other: UUID) -> list[Link]:
        return [link for link in self.links_of(one) if far_end(link, one) == other]

    def upstreams_of(self, device_id: UUID) -> list[Link]:
        return [link for link in self.links_of(device_id) if link.z_device_id is None]

    def site_of(self, device_id: UUID) -> Ref | None:
        device = self.graph.device_by_id.get(device_id)
        return (SITE, device.site_id) if device and device.site_id else None

    def is_within_site(self, link: Link) -> bool:
        """Whether both ends stand in one room: such a wire is seldom dug up."""
        if link.z_device_id is None:
            return False
        site = self.site_of(link.a_device_id)
        return site is not None and site == self.site_of(link.z_device_id)

    def place_of_agent(self, agent_id: UUID) -> UUID | None:
        return self._places.get(agent_id)

    @cached_property
    def _places(self) -> Mapping[UUID, UUID | None]:
        return {agent.id: agent.device_id for agent in self.graph.agents}


def far_end(link: Link, device_id: UUID) -> UUID | None:
    """The router at the other end; null where the link leaves the network."""
    return link.z_device_id if link.a_device_id == device_id else link.a_device_id


def link_ref(link_id: UUID) -> Ref:
    return (LINK, link_id)
