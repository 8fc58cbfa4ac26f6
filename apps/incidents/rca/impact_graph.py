"""What a set of failures makes unreachable or leaves without service. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from uuid import UUID

from apps.incidents.rca.availability import Network, Support
from apps.incidents.rca.snapshot import Snapshot, Symptom
from apps.incidents.rca.weights import SAME_FEED
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
NO_FAILURES: Failed = frozenset()
#: Devices that agents are attached to.
Observers = tuple[Ref, ...]


class ImpactGraph:
    """The network of a snapshot; results are cached per set of failures."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.graph = snapshot.graph
        self._network = Network(snapshot.graph)
        self._baseline = NO_FAILURES
        #: Per observers: the support without failures, and at the baseline with what it has removed.
        self._without_failures: dict[Observers, Support] = {}
        self._baselines: dict[Observers, tuple[Failed, Support, frozenset[Ref]]] = {}
        self._known: dict[tuple[Observers, Failed], frozenset[Ref]] = {}

    @cached_property
    def observers(self) -> Observers:
        """The devices of live agents: what they cannot reach is unreachable."""
        alive = self.snapshot.alive_agents
        return _agent_devices(agent for agent in self.graph.agents if agent.id in alive)

    def observers_of(self, device_id: UUID) -> Observers:
        """The observers that probe this device; all observers if no agent is assigned to probe it."""
        return self._observers_by_device.get(device_id, self.observers)

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
    def _observers_by_device(self) -> Mapping[UUID, Observers]:
        probers: dict[UUID, list[AgentLocation]] = defaultdict(list)
        for agent in self.graph.agents:
            for device_id in agent.probes:
                probers[device_id].append(agent)
        # One object per set of observers: ``effects`` compares them by identity.
        unique: dict[Observers, Observers] = {}
        observers_by_device = {
            device_id: _agent_devices(agents) for device_id, agents in probers.items()
        }
        return {
            device_id: unique.setdefault(observers, observers)
            for device_id, observers in observers_by_device.items()
        }

    @cached_property
    def _devices_by_observers(self) -> Mapping[Observers, frozenset[Ref]]:
        found: dict[Observers, set[Ref]] = defaultdict(set)
        for device in self.graph.devices:
            found[self.observers_of(device.id)].add((DEVICE, device.id))
        return {observers: frozenset(refs) for observers, refs in found.items()}

    @cached_property
    def border_routers(self) -> tuple[Ref, ...]:
        """Routers with an upstream link; the observers, if no upstream is known."""
        border_routers = {
            (DEVICE, link.a_device_id) for link in self.graph.links if not link.z_device_id
        }
        return tuple(sorted(border_routers)) or self.observers

    def cuts_off_agent(self, agent_id: UUID, failed: Failed) -> bool:
        """Whether these failures cut an agent off from the other live agents."""
        others = self.snapshot.alive_agents - {agent_id}
        observers = _agent_devices(agent for agent in self.graph.agents if agent.id in others)
        device = self.device_of_agent(agent_id)
        return device is not None and (DEVICE, device) in self.lost(observers, failed)

    def cuts_off(self, device_id: UUID, failed: Failed) -> bool:
        """Whether these failures cut a device off from its observers."""
        return (DEVICE, device_id) in self.lost(self.observers_of(device_id), failed)

    def cut_off(self, failed: Failed) -> frozenset[Ref]:
        """Every device that these failures cut off from its observers."""
        return frozenset().union(
            *(
                refs & self.lost(observers, failed)
                for observers, refs in self._devices_by_observers.items()
            )
        )

    def newly_cut_off(self, candidate: Ref, known: Failed) -> frozenset[Ref]:
        """Every device that this failure cuts off and the known ones do not."""
        with_candidate = known | {candidate}
        if not self._baseline <= known:
            return self.cut_off(with_candidate) - self.cut_off(known)
        found: set[Ref] = set()
        for observers, refs in self._devices_by_observers.items():
            _, before = self.lost_by_baseline(observers, known)
            _, after = self.lost_by_baseline(observers, with_candidate)
            found |= (after - before) & refs
        return frozenset(found)

    def without_service(self, failed: Failed) -> frozenset[Ref]:
        """What these failures cut off from every upstream."""
        return self.lost(self.border_routers, failed)

    def separates(self, device_id: UUID, other_id: UUID, failed: Failed) -> bool:
        """Whether these failures cut two routers off from each other."""
        return (DEVICE, other_id) in self.lost(((DEVICE, device_id),), failed)

    def set_baseline(self, known: Failed) -> None:
        """Later queries about these failures and a few more then cost only the few."""
        if known != self._baseline:
            self._baseline = known
            self._known.clear()

    def lost(self, roots: Observers, failed: Failed) -> frozenset[Ref]:
        """What these failures cut off from the roots."""
        already_lost, newly_lost = self.lost_by_baseline(roots, failed)
        return already_lost | newly_lost if already_lost else newly_lost

    def lost_by_baseline(
        self, roots: Observers, failed: Failed
    ) -> tuple[frozenset[Ref], frozenset[Ref]]:
        """The same in two parts: lost by the baseline failures, which may be large, and lost by the others."""
        already_lost, key = NO_FAILURES, (roots, failed)
        includes_baseline = bool(self._baseline) and self._baseline <= failed
        if includes_baseline:
            support, already_lost = self._at_baseline(roots)
        if key not in self._known:
            if includes_baseline:
                self._known[key] = support.lost(failed - self._baseline)
            else:
                self._known[key] = self._support(roots).lost(failed)
        return already_lost, self._known[key]

    def _at_baseline(self, roots: Observers) -> tuple[Support, frozenset[Ref]]:
        """The support at the baseline, and what the baseline failures removed."""
        previous, support, already_lost = self._baselines.get(roots) or (
            NO_FAILURES,
            self._support(roots),
            NO_FAILURES,
        )
        if not previous <= self._baseline:
            previous, support, already_lost = NO_FAILURES, self._support(roots), NO_FAILURES
        if previous != self._baseline:
            added = self._baseline - previous
            support, already_lost = support.without(added), already_lost | support.lost(added)
            self._baselines[roots] = (self._baseline, support, already_lost)
        return support, already_lost

    def _support(self, roots: Observers) -> Support:
        if roots not in self._without_failures:
            self._without_failures[roots] = self._network.support(roots)
        return self._without_failures[roots]

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
        """Whether both ends are at one site: such a link fails less often."""
        if link.z_device_id is None:
            return False
        site = self.site_of(link.a_device_id)
        return site is not None and site == self.site_of(link.z_device_id)

    def device_of_agent(self, agent_id: UUID) -> UUID | None:
        return self._agent_devices.get(agent_id)

    @cached_property
    def _agent_devices(self) -> Mapping[UUID, UUID | None]:
        return {agent.id: agent.device_id for agent in self.graph.agents}


def _agent_devices(agents: Iterable[AgentLocation]) -> Observers:
    return tuple(sorted({(DEVICE, row.device_id) for row in agents if row.device_id is not None}))


def far_end(link: Link, device_id: UUID) -> UUID | None:
    """The router at the other end; null where the link leaves the network."""
    return link.z_device_id if link.a_device_id == device_id else link.a_device_id


def link_ref(link_id: UUID) -> Ref:
    return (LINK, link_id)
