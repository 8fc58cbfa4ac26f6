"""A network as numbered nodes and the needs between them. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from apps.topology.graph import DEVICE, INTERFACE, LINK, SERVICE, SITE, Graph, Ref


@dataclass
class Wiring:
    """Nodes are entities, or unnamed ("this link and this neighbour together"). A node works while each of its needs
    has enough working members."""

    index: dict[Ref, int] = field(default_factory=dict)
    refs: list[Ref | None] = field(default_factory=list)
    #: Per need: who needs it, how many members it takes.
    needs: list[tuple[int, int]] = field(default_factory=list)
    members: list[list[int]] = field(default_factory=list)
    #: Per node: the needs that it is a member of, and its own.
    serves: list[list[int]] = field(default_factory=list)
    own: list[list[int]] = field(default_factory=list)
    #: Per device: its need of a way to a root.
    way_in: dict[int, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.refs)

    def node(self, ref: Ref) -> int:
        """The number of an entity, given on first mention."""
        if ref not in self.index:
            self.index[ref] = self._add(ref)
        return self.index[ref]

    def unnamed(self) -> int:
        """A node that is no entity."""
        return self._add(None)

    def need(self, dependent: int, members: Iterable[int], count: int) -> int:
        """The dependent works only while ``count`` of the members do; returns the need's number."""
        number = len(self.needs)
        self.needs.append((dependent, count))
        self.members.append(list(members))
        self.own[dependent].append(number)
        for member in self.members[number]:
            self.serves[member].append(number)
        return number

    def _add(self, ref: Ref | None) -> int:
        self.refs.append(ref)
        self.serves.append([])
        self.own.append([])
        return len(self.refs) - 1


def wire(graph: Graph) -> Wiring:
    """The needs that follow from a graph."""
    wiring = Wiring()
    for site in graph.sites:
        wiring.node((SITE, site.id))
    for interface in graph.interfaces:
        wiring.node((INTERFACE, interface.id))
    _wire_links(wiring, graph)
    _wire_devices(wiring, graph)
    _wire_dependents(wiring, graph)
    return wiring


def _wire_links(wiring: Wiring, graph: Graph) -> None:
    for link in graph.links:
        ends = [
            wiring.node((INTERFACE, end))
            for end in (link.a_interface_id, link.z_interface_id)
            if end is not None
        ]
        node = wiring.node((LINK, link.id))
        if ends:
            wiring.need(node, ends, len(ends))


def _wire_devices(wiring: Wiring, graph: Graph) -> None:
    ways: dict[int, list[int]] = defaultdict(list)
    for link in graph.links:
        if link.z_device_id is None:
            continue
        ends = (link.a_device_id, link.z_device_id)
        for near, far in (ends, ends[::-1]):
            way = wiring.unnamed()
            wiring.need(way, [wiring.node((LINK, link.id)), wiring.node((DEVICE, far))], 2)
            ways[wiring.node((DEVICE, near))].append(way)
    for device in graph.devices:
        node = wiring.node((DEVICE, device.id))
        wiring.way_in[node] = wiring.need(node, ways[node], 1)
        if device.site_id is not None:
            wiring.need(node, [wiring.node((SITE, device.site_id))], 1)


def _wire_dependents(wiring: Wiring, graph: Graph) -> None:
    """Sessions and services stand on their device (and wire, where it is certain); groups say the rest."""
    for service in graph.services:
        node = wiring.node((SERVICE, service.id))
        if service.device_id is not None:
            wiring.need(node, [wiring.node((DEVICE, service.device_id))], 1)
    for kind, sessions in (("bgp_peer", graph.bgp_peers), ("ospf_neighbor", graph.ospf_neighbors)):
        for session in sessions:
            stands_on = [(DEVICE, session.device_id)]
            stands_on += [(LINK, session.link_id)] if session.link_id else []
            stands_on += [(DEVICE, session.far_device_id)] if session.far_device_id else []
            members = [wiring.node(ref) for ref in stands_on]
            wiring.need(wiring.node((kind, session.id)), members, len(members))
    for group in graph.groups:
        members = [wiring.node(member) for member in group.members]
        wiring.need(wiring.node(group.dependent), members, group.needed)
