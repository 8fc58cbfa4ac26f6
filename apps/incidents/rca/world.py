"""The network seen from where we look, asked what a failure would do. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from uuid import UUID

from apps.incidents.rca.snapshot import Snapshot, Symptom
from apps.incidents.rca.weights import SAME_FEED
from apps.incidents.rca.works import Network, Support
from apps.topology.graph import (
    DEVICE,
    LINK,
    SITE,
    AgentLocation,
    BgpPeer,
    Interface,
    Link,
    OspfNeighbor,
    Ref,
)

Failed = frozenset[Ref]
NOTHING: Failed = frozenset()
#: The devices that agents are attached to.
Eyes = tuple[Ref, ...]


class World:
    """A snapshot's network, wired once; answers are remembered per set of failures."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.graph = snapshot.graph
        self._network = Network(snapshot.graph)
        self._ground = NOTHING
        #: Per place to look from: undisturbed, and under what we stand on, with what that has taken.
        self._whole: dict[Eyes, Support] = {}
        self._grounded: dict[Eyes, tuple[Failed, Support, frozenset[Ref]]] = {}
        self._known: dict[tuple[Eyes, Failed], frozenset[Ref]] = {}

    @cached_property
    def eyes(self) -> Eyes:
        """Where living agents sit: through them we hear of everything else."""
        alive = self.snapshot.alive_agents
        return _places(agent for agent in self.graph.agents if agent.id in alive)

    def eyes_on(self, device_id: UUID) -> Eyes:
        """From where it is judged whether this device can be reached; from everywhere, if nobody is named."""
        return self._eyes_by_device.get(device_id, self.eyes)

    def is_power_lost_together(self, symptom: Symptom) -> bool:
        """Whether another router of its site lost a supply at about the same time."""
        site = self.site_of(symptom.ref[1])
        return any(
            row.ref != symptom.ref and abs(row.since - symptom.since) <= SAME_FEED
            for row in self._power_lost_at.get(site, ())
        )

    @cached_property
    def _power_lost_at(self) -> Mapping[Ref | None, list[Symptom]]:
        found: dict[Ref | None, list[Symptom]] = defaultdict(list)
        for row in self.snapshot.symptoms:
            if row.kind == "power_lost":
                found[self.site_of(row.ref[1])].append(row)
        return found

    @cached_property
    def _eyes_by_device(self) -> Mapping[UUID, Eyes]:
        judges: dict[UUID, list[AgentLocation]] = defaultdict(list)
        for agent in self.graph.agents:
            for device_id in agent.probes:
                judges[device_id].append(agent)
        # One object per set of judges: ``effects`` compares them by identity.
        same: dict[Eyes, Eyes] = {}
        places = {device_id: _places(agents) for device_id, agents in judges.items()}
        return {device_id: same.setdefault(eyes, eyes) for device_id, eyes in places.items()}

    @cached_property
    def _devices_by_eyes(self) -> Mapping[Eyes, frozenset[Ref]]:
        found: dict[Eyes, set[Ref]] = defaultdict(set)
        for device in self.graph.devices:
            found[self.eyes_on(device.id)].add((DEVICE, device.id))
        return {eyes: frozenset(refs) for eyes, refs in found.items()}

    @cached_property
    def doors(self) -> tuple[Ref, ...]:
        """Where the network meets the world; where we look from, if no upstream is known."""
        doors = {(DEVICE, link.a_device_id) for link in self.graph.links if not link.z_device_id}
        return tuple(sorted(doors)) or self.eyes

    def silences(self, agent_id: UUID, failed: Failed) -> bool:
        """Whether these failures cut an agent off from where the other living ones are."""
        others = self.snapshot.alive_agents - {agent_id}
        eyes = _places(agent for agent in self.graph.agents if agent.id in others)
        place = self.place_of_agent(agent_id)
        return place is not None and (DEVICE, place) in self.lost(eyes, failed)

    def hides(self, device_id: UUID, failed: Failed) -> bool:
        """Whether these failures cut a device off from where its reachability is judged."""
        return (DEVICE, device_id) in self.lost(self.eyes_on(device_id), failed)

    def hidden(self, failed: Failed) -> frozenset[Ref]:
        """Every device that these failures cut off from where its reachability is judged."""
        return frozenset().union(
            *(refs & self.lost(eyes, failed) for eyes, refs in self._devices_by_eyes.items())
        )

    def newly_hidden(self, suspect: Ref, known: Failed) -> frozenset[Ref]:
        """Every device that this failure hides and the known ones do not."""
        worse = known | {suspect}
        if not self._ground <= known:
            return self.hidden(worse) - self.hidden(known)
        found: set[Ref] = set()
        for eyes, refs in self._devices_by_eyes.items():
            _, before = self.lost_in_two(eyes, known)
            _, after = self.lost_in_two(eyes, worse)
            found |= (after - before) & refs
        return frozenset(found)

    def unserved(self, failed: Failed) -> frozenset[Ref]:
        """What loses its way to the world by these failures."""
        return self.lost(self.doors, failed)

    def parts(self, device_id: UUID, other_id: UUID, failed: Failed) -> bool:
        """Whether two routers of ours can no longer talk."""
        return (DEVICE, other_id) in self.lost(((DEVICE, device_id),), failed)

    def stand_on(self, known: Failed) -> None:
        """Most questions from here on are about these failures and a few more: they then cost only the few."""
        if known != self._ground:
            self._ground = known
            self._known.clear()

    def lost(self, roots: Eyes, failed: Failed) -> frozenset[Ref]:
        """What these failures cut off from there."""
        sunk, more = self.lost_in_two(roots, failed)
        return sunk | more if sunk else more

    def lost_in_two(self, roots: Eyes, failed: Failed) -> tuple[frozenset[Ref], frozenset[Ref]]:
        """The same in two: what the failures that we stand on have taken, perhaps much, and what the others take."""
        sunk, key = NOTHING, (roots, failed)
        is_grounded = bool(self._ground) and self._ground <= failed
        if is_grounded:
            support, sunk = self._on_ground(roots)
        if key not in self._known:
            if is_grounded:
                self._known[key] = support.lost(failed - self._ground)
            else:
                self._known[key] = self._support(roots).lost(failed)
        return sunk, self._known[key]

    def _on_ground(self, roots: Eyes) -> tuple[Support, frozenset[Ref]]:
        """What still holds under the failures that we stand on, and what they have taken."""
        ground, support, sunk = self._grounded.get(roots) or (
            NOTHING,
            self._support(roots),
            NOTHING,
        )
        if not ground <= self._ground:
            ground, support, sunk = NOTHING, self._support(roots), NOTHING
        if ground != self._ground:
            fresh = self._ground - ground
            support, sunk = support.without(fresh), sunk | support.lost(fresh)
            self._grounded[roots] = (self._ground, support, sunk)
        return support, sunk

    def _support(self, roots: Eyes) -> Support:
        if roots not in self._whole:
            self._whole[roots] = self._network.support(roots)
        return self._whole[roots]

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


def _places(agents: Iterable[AgentLocation]) -> Eyes:
    return tuple(sorted({(DEVICE, row.device_id) for row in agents if row.device_id is not None}))


def far_end(link: Link, device_id: UUID) -> UUID | None:
    """The router at the other end; null where the link leaves the network."""
    return link.z_device_id if link.a_device_id == device_id else link.a_device_id


def link_ref(link_id: UUID) -> Ref:
    return (LINK, link_id)
