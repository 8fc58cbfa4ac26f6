"""What still works when some things have failed. Pure.

An entity works if it has not failed and every one of its needs is met: a need is met while enough of its members
work (any, all, k of n). A router also needs a way to a root: a working neighbour over a working link. The answer is
the least fixed point that grows from the roots, so support never runs in a circle: a ring that is cut off from its
roots does not hold itself up, and a ring with one cut loses nothing.

Cost: one pass over nodes and edges per question, with a counter per need (the linear-time algorithm of Dowling and
Gallier for Horn clauses, extended to "k of n").
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from apps.topology.graph import DEVICE, INTERFACE, LINK, SERVICE, SITE, Graph, Ref


@dataclass
class _Wiring:
    """Nodes as numbers, and the needs between them, while a network is being wired."""

    index: dict[Ref, int] = field(default_factory=dict)
    needs: list[tuple[int, int]] = field(default_factory=list)
    members: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    size: int = 0

    def node(self, ref: Ref) -> int:
        """The number of an entity, given on first mention."""
        if ref not in self.index:
            self.index[ref] = self.unnamed()
        return self.index[ref]

    def unnamed(self) -> int:
        """A node that is no entity: "this link and this neighbour together"."""
        self.size += 1
        return self.size - 1

    def need(self, dependent: int, members: Iterable[int], count: int) -> None:
        """The dependent works only while ``count`` of the members do."""
        self.needs.append((dependent, count))
        for member in members:
            self.members[member].append(len(self.needs) - 1)


class Network:
    """A graph, wired once, asked often."""

    def __init__(self, graph: Graph) -> None:
        wiring = _Wiring()
        for site in graph.sites:
            wiring.node((SITE, site.id))
        for interface in graph.interfaces:
            wiring.node((INTERFACE, interface.id))
        self._way_in: dict[int, int] = {}
        _wire_links(wiring, graph)
        _wire_devices(wiring, graph, self._way_in)
        _wire_dependents(wiring, graph)
        self._index = wiring.index
        self._size = wiring.size
        self._needs = wiring.needs
        self._members = [wiring.members.get(node, []) for node in range(wiring.size)]
        self._needs_of = [0] * wiring.size
        for dependent, _ in wiring.needs:
            self._needs_of[dependent] += 1

    def working(
        self, *, roots: Collection[Ref], failed: Collection[Ref] = frozenset()
    ) -> frozenset[Ref]:
        """Every entity that works, given where life comes from and what has failed.

        ``roots`` are devices that need no way in: where an agent sits (then: what it can reach), or where the
        network meets the world (then: what still has service). Unknown refs are ignored.
        """
        broken = {self._index[ref] for ref in failed if ref in self._index}
        open_needs = list(self._needs_of)
        missing = [count for _, count in self._needs]
        for root in roots:
            way_in = self._way_in.get(self._index.get(root, -1))
            if way_in is not None:
                open_needs[self._needs[way_in][0]] -= 1
                missing[way_in] = -1
        for need, count in enumerate(missing):
            if count == 0:
                open_needs[self._needs[need][0]] -= 1
        alive = [False] * self._size
        growing = deque(
            node for node in range(self._size) if open_needs[node] == 0 and node not in broken
        )
        for node in growing:
            alive[node] = True
        while growing:
            for need in self._members[growing.popleft()]:
                missing[need] -= 1
                if missing[need] != 0:
                    continue
                dependent = self._needs[need][0]
                open_needs[dependent] -= 1
                if open_needs[dependent] == 0 and dependent not in broken:
                    alive[dependent] = True
                    growing.append(dependent)
        return frozenset(ref for ref, node in self._index.items() if alive[node])


def _wire_links(wiring: _Wiring, graph: Graph) -> None:
    for link in graph.links:
        ends = [
            wiring.node((INTERFACE, end))
            for end in (link.a_interface_id, link.z_interface_id)
            if end is not None
        ]
        node = wiring.node((LINK, link.id))
        if ends:
            wiring.need(node, ends, len(ends))


def _wire_devices(wiring: _Wiring, graph: Graph, way_in: dict[int, int]) -> None:
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
        wiring.need(node, ways[node], 1)
        way_in[node] = len(wiring.needs) - 1
        if device.site_id is not None:
            wiring.need(node, [wiring.node((SITE, device.site_id))], 1)


def _wire_dependents(wiring: _Wiring, graph: Graph) -> None:
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
