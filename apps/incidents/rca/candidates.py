"""Who could have done it: the entities whose failure might explain a symptom. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from apps.incidents.rca.snapshot import OWN_TROUBLES, POWER, Symptom, own_trouble
from apps.incidents.rca.world import World, far_end, link_ref
from apps.topology.graph import DEVICE, Ref


class Suspects:
    """Finds the suspects of symptoms, walking a dark region once and not once per router in it."""

    def __init__(self, world: World, symptoms: Iterable[Symptom]) -> None:
        self._world = world
        self._frontiers: dict[UUID, frozenset[Ref]] = {}
        self._borders: dict[UUID, frozenset[Ref]] = {}
        self._known: dict[UUID, frozenset[Ref]] = {}
        self._pointing: dict[Ref, list[UUID]] = defaultdict(list)
        for row in symptoms:
            self._known[row.alert_id] = self._find(row)
            for ref in self._known[row.alert_id]:
                self._pointing[ref].append(row.alert_id)

    def of(self, symptom: Symptom) -> frozenset[Ref]:
        """Entities whose failure might explain the symptom; its own entity is always among them, but for
        a port: what breaks a port's light is called by the name of its link."""
        return self._known[symptom.alert_id]

    def pointing_at(self, ref: Ref) -> Iterable[UUID]:
        """The alerts of which this entity is a suspect."""
        return self._pointing.get(ref, ())

    def borders(self, symptoms: Iterable[Symptom]) -> set[frozenset[Ref]]:
        """Per dark region, all wires to its lit side: lost together, they explain it."""
        dark = [row.ref[1] for row in symptoms if row.kind == "unreachable"]
        for device_id in dark:
            if device_id not in self._borders:
                self._of_dark(device_id)
        return {self._borders[device_id] for device_id in dark}

    def _find(self, symptom: Symptom) -> frozenset[Ref]:
        kind, (_, pk) = symptom.kind, symptom.ref
        if kind == "interface_down":
            return self._of_interface(pk) or frozenset({symptom.ref})
        own = own_trouble(symptom) if kind in OWN_TROUBLES else symptom.ref
        return self._others(symptom) | {own}

    def _others(self, symptom: Symptom) -> frozenset[Ref]:
        """Suspects beside the symptom's own entity."""
        kind, (_, pk) = symptom.kind, symptom.ref
        if kind == "adjacency_down":
            return self._of_adjacency(pk)
        if kind == "bgp_down":
            return self._of_bgp(pk)
        if kind == "power_lost":
            return self._of_power(pk)
        if kind == "sessions_lost":
            return self._of_groups(symptom.ref)
        dark = self._dark_place(symptom)
        return self._of_dark(dark) if dark else frozenset()

    def _dark_place(self, symptom: Symptom) -> UUID | None:
        """The router that the symptom says is not heard; None when it is heard, or none is meant."""
        kind, (_, pk) = symptom.kind, symptom.ref
        if kind == "unreachable":
            return pk
        place = self._world.place_of_agent(pk) if kind == "agent_missing" else None
        if kind == "management_plane":
            place = pk
        return place if place and not self._world.snapshot.answers(place) else None

    def _of_interface(self, interface_id: UUID) -> frozenset[Ref]:
        port = self._world.interface_by_id.get(interface_id)
        link = self._world.graph.link_by_id.get(port.link_id) if port and port.link_id else None
        if port is None or link is None:
            return frozenset()
        return frozenset({link_ref(link.id), *self._router(far_end(link, port.device_id))})

    def _of_adjacency(self, neighbor_id: UUID) -> frozenset[Ref]:
        row = self._world.adjacency_by_id.get(neighbor_id)
        if row is None:
            return frozenset()
        found = set(self._router(row.far_device_id))
        if row.link_id is not None:
            found.add(link_ref(row.link_id))
        elif row.far_device_id is not None:
            wires = self._world.links_between(row.device_id, row.far_device_id)
            found |= {link_ref(link.id) for link in wires}
        return frozenset(found)

    def _of_bgp(self, peer_id: UUID) -> frozenset[Ref]:
        row = self._world.bgp_peer_by_id.get(peer_id)
        if row is None:
            return frozenset()
        found = set(self._router(row.far_device_id))
        if row.link_id is not None:
            found.add(link_ref(row.link_id))
        if row.far_device_id is None:
            found |= {link_ref(link.id) for link in self._world.upstreams_of(row.device_id)}
        return frozenset(found)

    def _of_power(self, device_id: UUID) -> frozenset[Ref]:
        """What feeds it: the site's power; once it is silent, the dead site, or the router itself."""
        site = self._world.site_of(device_id)
        if site is None:
            return frozenset()
        power: frozenset[Ref] = frozenset({(POWER, site[1])})
        if self._world.snapshot.answers(device_id):
            return power
        return power | {site, (DEVICE, device_id)}

    def _of_groups(self, ref: Ref) -> frozenset[Ref]:
        members: set[Ref] = set()
        for group in self._world.graph.groups:
            if group.dependent == ref:
                members |= set(group.members)
        return frozenset(members)

    def _of_dark(self, device_id: UUID) -> frozenset[Ref]:
        """The edge of the dark region around a silent router: its wires to the lit side, the routers behind them."""
        if device_id not in self._frontiers:
            region, wires = self._dark_region(device_id)
            suspects = set(wires)
            for dark in region:
                if any(link_ref(link.id) in wires for link in self._world.links_of(dark)):
                    suspects |= set(self._router(dark))
            frontier = frozenset(suspects)
            for dark in region:
                self._frontiers[dark] = frontier
                self._borders[dark] = frozenset(wires)
        own = frozenset(self._router(device_id))
        return self._frontiers[device_id] | own

    def _dark_region(self, device_id: UUID) -> tuple[set[UUID], set[Ref]]:
        region, wires, queue = {device_id}, set(), [device_id]
        eyes = self._world.eyes_on(device_id)
        for dark in queue:
            for link in self._world.links_of(dark):
                other = far_end(link, dark)
                if other is None or other in region:
                    continue
                if self._world.snapshot.answers(other) or (DEVICE, other) in eyes:
                    wires.add(link_ref(link.id))
                else:
                    region.add(other)
                    queue.append(other)
        return region, wires

    def _router(self, device_id: UUID | None) -> Iterable[Ref]:
        if device_id is None:
            return ()
        site = self._world.site_of(device_id)
        return ((DEVICE, device_id), site) if site else ((DEVICE, device_id),)
