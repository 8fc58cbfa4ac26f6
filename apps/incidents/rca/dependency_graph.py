"""A network as numbered nodes and the needs between them. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from apps.topology.graph import DEVICE, INTERFACE, LINK, SERVICE, SITE, Graph, Ref


@dataclass
class DependencyGraph:
    """Nodes are entities, or unnamed ("this link and this neighbor together"). A node works while each of its needs
    has enough working members."""

    index: dict[Ref, int] = field(default_factory=dict)
    refs: list[Ref | None] = field(default_factory=list)
    #: Per need: who needs it, how many members it takes.
    needs: list[tuple[int, int]] = field(default_factory=list)
    members: list[list[int]] = field(default_factory=list)
    #: Per node: the needs that it is a member of, and its own.
    serves: list[list[int]] = field(default_factory=list)
    own: list[list[int]] = field(default_factory=list)
    #: Per device: its need of a path to a root.
    uplink_need: dict[int, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.refs)

    def node(self, ref: Ref) -> int:
        """The number of an entity, assigned on first use."""
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


def build_dependency_graph(graph: Graph) -> DependencyGraph:
    """The needs that follow from a graph."""
    dependencies = DependencyGraph()
    for site in graph.sites:
        dependencies.node((SITE, site.id))
    for interface in graph.interfaces:
        dependencies.node((INTERFACE, interface.id))
    _add_links(dependencies, graph)
    _add_devices(dependencies, graph)
    _add_dependents(dependencies, graph)
    return dependencies


def _add_links(dependencies: DependencyGraph, graph: Graph) -> None:
    for link in graph.links:
        ends = [
            dependencies.node((INTERFACE, end))
            for end in (link.a_interface_id, link.z_interface_id)
            if end is not None
        ]
        node = dependencies.node((LINK, link.id))
        if ends:
            dependencies.need(node, ends, len(ends))


def _add_devices(dependencies: DependencyGraph, graph: Graph) -> None:
    paths: dict[int, list[int]] = defaultdict(list)
    for link in graph.links:
        if link.z_device_id is None:
            continue
        ends = (link.a_device_id, link.z_device_id)
        for near, far in (ends, ends[::-1]):
            path = dependencies.unnamed()
            dependencies.need(
                path, [dependencies.node((LINK, link.id)), dependencies.node((DEVICE, far))], 2
            )
            paths[dependencies.node((DEVICE, near))].append(path)
    for device in graph.devices:
        node = dependencies.node((DEVICE, device.id))
        dependencies.uplink_need[node] = dependencies.need(node, paths[node], 1)
        if device.site_id is not None:
            dependencies.need(node, [dependencies.node((SITE, device.site_id))], 1)


def _add_dependents(dependencies: DependencyGraph, graph: Graph) -> None:
    """Sessions and services depend on their device (and link, where it is known); groups add the rest."""
    for service in graph.services:
        node = dependencies.node((SERVICE, service.id))
        if service.device_id is not None:
            dependencies.need(node, [dependencies.node((DEVICE, service.device_id))], 1)
    for kind, sessions in (("bgp_peer", graph.bgp_peers), ("ospf_neighbor", graph.ospf_neighbors)):
        for session in sessions:
            depends_on = [(DEVICE, session.device_id)]
            depends_on += [(LINK, session.link_id)] if session.link_id else []
            depends_on += [(DEVICE, session.far_device_id)] if session.far_device_id else []
            members = [dependencies.node(ref) for ref in depends_on]
            dependencies.need(dependencies.node((kind, session.id)), members, len(members))
    for group in graph.groups:
        members = [dependencies.node(member) for member in group.members]
        dependencies.need(dependencies.node(group.dependent), members, group.needed)
