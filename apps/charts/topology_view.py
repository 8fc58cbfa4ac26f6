"""The network as a drawing: nodes and edges with how each is now. Who draws it adds what it knows of causes."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.telemetry.queries import latest
from apps.telemetry.reach import BLIND_AFTER, Reach, reach_of_devices
from apps.topology.graph import DependencyGroup
from apps.topology.selectors import Wire, Wiring

#: Of a node or an edge: how it is drawn. ``root`` and ``held`` are an incident's words.
OK, DOWN, BLIND, UNKNOWN, PART, ROOT, HELD = (
    *("ok", "critical", "blind", "unknown", "warn", "root", "held"),
)
LOOK_OF: Mapping[str, str] = {Reach.UP: OK, Reach.DOWN: DOWN, Reach.BLIND: BLIND}
#: Drawn from the middle of the network outwards.
RANKS = {"edge": 0, "core": 1, "agg": 2, "bng": 3, "access": 4}
OUTERMOST = 5
OPER_UP = "interface.oper_up"


@dataclass(frozen=True)
class Node:
    """A router, a site, a group, or the world outside."""

    id: str
    label: str
    kind: str
    look: str
    rank: int = OUTERMOST
    parent: str = ""
    url: str = ""
    note: str = ""


@dataclass(frozen=True)
class Edge:
    """A wire, several wires between two sites, or a dependency."""

    id: str
    source: str
    target: str
    look: str
    label: str = ""
    kind: str = "wire"
    #: Per cent of its capacity, of the fullest wire; None: not read lately.
    use: int | None = None


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def as_document(self) -> dict[str, Any]:
        """JSON-safe."""
        return {
            "nodes": [vars(node) for node in self.nodes],
            "edges": [vars(edge) for edge in self.edges],
        }


@dataclass(frozen=True)
class Overlay:
    """What an incident says: the causes themselves, and what is held back behind them."""

    roots: frozenset[UUID] = frozenset()
    held: frozenset[UUID] = frozenset()

    def look(self, entity_id: UUID, now: str) -> str:
        """Of something that looks so by itself."""
        if entity_id in self.roots:
            return ROOT
        return HELD if entity_id in self.held else now


def device_looks(at: datetime, device_ids: Iterable[UUID]) -> dict[UUID, str]:
    """How each of these is. One query."""
    reach = reach_of_devices(at)
    return {pk: LOOK_OF[reach[pk]] if pk in reach else UNKNOWN for pk in device_ids}


def wire_looks(at: datetime, wires: Collection[Wire]) -> dict[UUID, str]:
    """How each wire is, by the ports at its ends: down when one says so, blind when none was read lately. One query."""
    ports = {port for wire in wires for port in wire.ports}
    read = {key.entity_id: row for key, row in latest(metrics=[OPER_UP], entity_ids=ports).items()}
    return {
        wire.id: _wire_look([read[port] for port in wire.ports if port in read], at)
        for wire in wires
    }


def _wire_look(read: list[Any], at: datetime) -> str:
    if not read:
        return UNKNOWN
    fresh = [row for row in read if at - row.ts <= 3 * BLIND_AFTER]
    if not fresh:
        return BLIND
    return DOWN if any(not row.value for row in fresh) else OK


def by_device(
    wiring: Wiring,
    *,
    looks: Mapping[UUID, str],
    wires: Mapping[UUID, str],
    sites: Mapping[UUID, str],
    overlay: Overlay,
    address: str,
    groups: Iterable[DependencyGroup] = (),
) -> Picture:
    """Every router in the box of its site; ``address`` is a device's page with ``{id}`` in it."""
    nodes = [
        Node(
            id=str(row.id),
            label=row.name,
            kind="device",
            look=overlay.look(row.id, looks.get(row.id, UNKNOWN)),
            rank=RANKS.get(row.role, OUTERMOST),
            parent=str(row.site_id) if row.site_id in sites else "",
            url=address.format(id=row.id),
        )
        for row in wiring.devices.values()
    ]
    used = {node.parent for node in nodes if node.parent}
    nodes += [Node(str(pk), name, "box", OK) for pk, name in sites.items() if str(pk) in used]
    edges = []
    for wire in wiring.wires:
        if wire.a_id not in wiring.devices:
            continue
        far = str(wire.z_id) if wire.z_id in wiring.devices else f"out-{wire.id}"
        if wire.z_id is None:
            nodes.append(Node(far, wire.name, "outside", OK, rank=-1))
        elif wire.z_id not in wiring.devices:
            continue
        look = overlay.look(wire.id, wires.get(wire.id, UNKNOWN))
        edges.append(Edge(str(wire.id), str(wire.a_id), far, look, wire.name))
    known = {node.id for node in nodes}
    wire_of = {edge.id: edge for edge in edges}
    for group in groups:
        nodes_of_group, edges_of_group = _group(group, known, wire_of)
        nodes += nodes_of_group
        edges += edges_of_group
    return Picture(tuple(nodes), tuple(edges))


def _group(
    group: DependencyGroup, known: Collection[str], wires: Mapping[str, Edge]
) -> tuple[list[Node], list[Edge]]:
    """A diamond between the dependent and what it leans on; a wire stands for its near router."""
    dependent = str(group.dependent[1])
    ends = [wires[str(pk)].source if str(pk) in wires else str(pk) for _kind, pk in group.members]
    drawn = [end for end in dict.fromkeys(ends) if end in known and end != dependent]
    if dependent not in known or not drawn:
        return [], []
    node = Node(str(group.id), f"{group.needed} / {len(group.members)}", "group", OK, rank=3)
    edges = [Edge(f"{group.id}-d", node.id, dependent, OK, kind="lean")]
    edges += [Edge(f"{group.id}-{end}", end, node.id, OK, kind="lean") for end in drawn]
    return [node], edges


def outlined(picture: Picture, *, only: Collection[str]) -> Picture:
    """The same with everything else in the background."""
    nodes = tuple(
        node if node.id in only or node.kind == "box" else replace(node, note="far")
        for node in picture.nodes
    )
    return replace(picture, nodes=nodes)
