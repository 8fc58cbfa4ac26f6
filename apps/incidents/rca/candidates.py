"""Root-cause candidates: the entities whose failure might explain a symptom. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from apps.incidents.rca.impact_graph import ImpactGraph, far_end, link_ref
from apps.incidents.rca.snapshot import OWN_PROBLEMS, POWER, Symptom, own_problem
from apps.topology.graph import DEVICE, Ref


class Candidates:
    """Finds the candidates of symptoms; walks an unreachable region once, not once per router in it."""

    def __init__(self, network: ImpactGraph, symptoms: Iterable[Symptom]) -> None:
        self._network = network
        self._frontiers: dict[UUID, frozenset[Ref]] = {}
        self._borders: dict[UUID, frozenset[Ref]] = {}
        self._known: dict[UUID, frozenset[Ref]] = {}
        self._pointing: dict[Ref, list[UUID]] = defaultdict(list)
        for row in symptoms:
            self._known[row.alert_id] = self._find(row)
            for ref in self._known[row.alert_id]:
                self._pointing[ref].append(row.alert_id)

    def of(self, symptom: Symptom) -> frozenset[Ref]:
        """Entities whose failure might explain the symptom, its own entity included; for a port that is down its
        link stands in for the port."""
        return self._known[symptom.alert_id]

    def pointing_at(self, ref: Ref) -> Iterable[UUID]:
        """The alerts that have this entity among their candidates."""
        return self._pointing.get(ref, ())

    def borders(self, symptoms: Iterable[Symptom]) -> set[frozenset[Ref]]:
        """All links into each unreachable region: if they failed together, that explains the region."""
        unreachable = [row.ref[1] for row in symptoms if row.kind == "unreachable"]
        for device_id in unreachable:
            if device_id not in self._borders:
                self._of_unreachable(device_id)
        return {self._borders[device_id] for device_id in unreachable}

    def _find(self, symptom: Symptom) -> frozenset[Ref]:
        kind, (_, pk) = symptom.kind, symptom.ref
        if kind == "interface_down":
            return self._of_interface(pk) or frozenset({symptom.ref})
        own = own_problem(symptom) if kind in OWN_PROBLEMS else symptom.ref
        return self._others(symptom) | {own}

    def _others(self, symptom: Symptom) -> frozenset[Ref]:
        """Candidates beside the symptom's own entity."""
        kind, (_, pk) = symptom.kind, symptom.ref
        if kind == "adjacency_down":
            return self._of_adjacency(pk)
        if kind == "bgp_down":
            return self._of_bgp(pk)
        if kind == "power_lost":
            return self._of_power(pk)
        if kind == "sessions_lost":
            return self._of_groups(symptom.ref)
        unreachable = self._unreachable_device(symptom)
        return self._of_unreachable(unreachable) if unreachable else frozenset()

    def _unreachable_device(self, symptom: Symptom) -> UUID | None:
        """The router that the symptom reports as not responding; None when it responds or none is meant."""
        kind, (_, pk) = symptom.kind, symptom.ref
        if kind == "unreachable":
            return pk
        device = self._network.device_of_agent(pk) if kind == "agent_missing" else None
        if kind == "management_plane":
            device = pk
        return device if device and not self._network.snapshot.answers(device) else None

    def _of_interface(self, interface_id: UUID) -> frozenset[Ref]:
        port = self._network.interface_by_id.get(interface_id)
        link = self._network.graph.link_by_id.get(port.link_id) if port and port.link_id else None
        if port is None or link is None:
            return frozenset()
        return frozenset({link_ref(link.id), *self._router(far_end(link, port.device_id))})

    def _of_adjacency(self, neighbor_id: UUID) -> frozenset[Ref]:
        row = self._network.adjacency_by_id.get(neighbor_id)
        if row is None:
            return frozenset()
        found = set(self._router(row.far_device_id))
        if row.link_id is not None:
            found.add(link_ref(row.link_id))
        elif row.far_device_id is not None:
            links = self._network.links_between(row.device_id, row.far_device_id)
            found |= {link_ref(link.id) for link in links}
        return frozenset(found)

    def _of_bgp(self, peer_id: UUID) -> frozenset[Ref]:
        row = self._network.bgp_peer_by_id.get(peer_id)
        if row is None:
            return frozenset()
        found = set(self._router(row.far_device_id))
        if row.link_id is not None:
            found.add(link_ref(row.link_id))
        if row.far_device_id is None:
            found |= {link_ref(link.id) for link in self._network.upstreams_of(row.device_id)}
        return frozenset(found)

    def _of_power(self, device_id: UUID) -> frozenset[Ref]:
        """The site's power feed; once the router is unreachable also the site and the router itself."""
        site = self._network.site_of(device_id)
        if site is None:
            return frozenset()
        power: frozenset[Ref] = frozenset({(POWER, site[1])})
        if self._network.snapshot.answers(device_id):
            return power
        return power | {site, (DEVICE, device_id)}

    def _of_groups(self, ref: Ref) -> frozenset[Ref]:
        members: set[Ref] = set()
        for group in self._network.graph.groups:
            if group.dependent == ref:
                members |= set(group.members)
        return frozenset(members)

    def _of_unreachable(self, device_id: UUID) -> frozenset[Ref]:
        """The border of the unreachable region around a router: links to reachable routers, and the routers inside."""
        if device_id not in self._frontiers:
            region, links = self._unreachable_region(device_id)
            candidates = set(links)
            for unreachable in region:
                if any(link_ref(link.id) in links for link in self._network.links_of(unreachable)):
                    candidates |= set(self._router(unreachable))
            frontier = frozenset(candidates)
            for unreachable in region:
                self._frontiers[unreachable] = frontier
                self._borders[unreachable] = frozenset(links)
        own = frozenset(self._router(device_id))
        return self._frontiers[device_id] | own

    def _unreachable_region(self, device_id: UUID) -> tuple[set[UUID], set[Ref]]:
        region, links, queue = {device_id}, set(), [device_id]
        observers = self._network.observers_of(device_id)
        for unreachable in queue:
            for link in self._network.links_of(unreachable):
                other = far_end(link, unreachable)
                if other is None or other in region:
                    continue
                if self._network.snapshot.answers(other) or (DEVICE, other) in observers:
                    links.add(link_ref(link.id))
                else:
                    region.add(other)
                    queue.append(other)
        return region, links

    def _router(self, device_id: UUID | None) -> Iterable[Ref]:
        if device_id is None:
            return ()
        site = self._network.site_of(device_id)
        return ((DEVICE, device_id), site) if site else ((DEVICE, device_id),)
