"""Nodes and edges of the topology diagram with their current state; an overlay adds an incident's verdict."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.telemetry.queries import latest
from apps.telemetry.reachability import BLIND_AFTER, Reachability, reachability_of_devices
from apps.topology.graph import DependencyGroup
from apps.topology.selectors import MapLink, NetworkMap

#: Looks of nodes and edges. ``root`` (cause) and ``suppressed`` come from an incident.
OK, DOWN, BLIND, UNKNOWN, PART, ROOT, SUPPRESSED = (
    *("ok", "critical", "blind", "unknown", "warn", "root", "suppressed"),
)
LOOK_BY_REACHABILITY: Mapping[str, str] = {
    Reachability.UP: OK,
    Reachability.DOWN: DOWN,
    Reachability.BLIND: BLIND,
}
#: Layers of the layout, from the network's core outwards.
RANKS = {"edge": 0, "core": 1, "agg": 2, "bng": 3, "access": 4}
OUTERMOST = 5
OPER_UP = "interface.oper_up"


@dataclass(frozen=True)
class Node:
    """A router, a site, a dependency group, or the far end of a link that leaves the network."""

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
    """A link, the links between two sites, or a dependency."""

    id: str
    source: str
    target: str
    look: str
    label: str = ""
    kind: str = "link"
    #: Utilization of the busiest link, per cent; None: no recent samples.
    use: int | None = None


@dataclass(frozen=True)
class TopologyView:
    """Nodes and edges of a topology diagram."""

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
    """The verdict of an incident: entities that are causes, and entities whose alerts are suppressed."""

    roots: frozenset[UUID] = frozenset()
    suppressed: frozenset[UUID] = frozenset()

    def look(self, entity_id: UUID, now: str) -> str:
        """The look of an entity whose look without the incident is ``now``."""
        if entity_id in self.roots:
            return ROOT
        return SUPPRESSED if entity_id in self.suppressed else now


def device_looks(at: datetime, device_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The look of each device. One query."""
    reachability = reachability_of_devices(at)
    return {
        pk: LOOK_BY_REACHABILITY[reachability[pk]] if pk in reachability else UNKNOWN
        for pk in device_ids
    }


def link_looks(at: datetime, links: Collection[MapLink]) -> dict[UUID, str]:
    """The look of each link by the ports at its ends: down if one is down, blind without recent samples. One query."""
    ports = {port for link in links for port in link.ports}
    read = {key.entity_id: row for key, row in latest(metrics=[OPER_UP], entity_ids=ports).items()}
    return {
        link.id: _link_look([read[port] for port in link.ports if port in read], at)
        for link in links
    }


def _link_look(read: list[Any], at: datetime) -> str:
    if not read:
        return UNKNOWN
    fresh = [row for row in read if at - row.ts <= 3 * BLIND_AFTER]
    if not fresh:
        return BLIND
    return DOWN if any(not row.value for row in fresh) else OK


def by_device(
    network_map: NetworkMap,
    *,
    looks: Mapping[UUID, str],
    links: Mapping[UUID, str],
    sites: Mapping[UUID, str],
    overlay: Overlay,
    address: str,
    groups: Iterable[DependencyGroup] = (),
) -> TopologyView:
    """Every router inside its site; ``address`` is the URL of a device page with ``{id}`` in it."""
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
        for row in network_map.devices.values()
    ]
    used = {node.parent for node in nodes if node.parent}
    nodes += [Node(str(pk), name, "box", OK) for pk, name in sites.items() if str(pk) in used]
    edges = []
    for link in network_map.links:
        if link.a_id not in network_map.devices:
            continue
        far = str(link.z_id) if link.z_id in network_map.devices else f"out-{link.id}"
        if link.z_id is None:
            nodes.append(Node(far, link.name, "outside", OK, rank=-1))
        elif link.z_id not in network_map.devices:
            continue
        look = overlay.look(link.id, links.get(link.id, UNKNOWN))
        edges.append(Edge(str(link.id), str(link.a_id), far, look, link.name))
    known = {node.id for node in nodes}
    link_edges = {edge.id: edge for edge in edges}
    for group in groups:
        nodes_of_group, edges_of_group = _group(group, known, link_edges)
        nodes += nodes_of_group
        edges += edges_of_group
    return TopologyView(tuple(nodes), tuple(edges))


def _group(
    group: DependencyGroup, known: Collection[str], links: Mapping[str, Edge]
) -> tuple[list[Node], list[Edge]]:
    """A node between the dependent and the members of its group; a link is represented by its near router."""
    dependent = str(group.dependent[1])
    ends = [links[str(pk)].source if str(pk) in links else str(pk) for _kind, pk in group.members]
    shown = [end for end in dict.fromkeys(ends) if end in known and end != dependent]
    if dependent not in known or not shown:
        return [], []
    node = Node(str(group.id), f"{group.needed} / {len(group.members)}", "group", OK, rank=3)
    edges = [Edge(f"{group.id}-d", node.id, dependent, OK, kind="dependency")]
    edges += [Edge(f"{group.id}-{end}", end, node.id, OK, kind="dependency") for end in shown]
    return [node], edges


def faded(view: TopologyView, *, only: Collection[str]) -> TopologyView:
    """The same view with all nodes but these drawn as outlines."""
    nodes = tuple(
        node if node.id in only or node.kind == "box" else replace(node, note="neighbor")
        for node in view.nodes
    )
    return replace(view, nodes=nodes)
