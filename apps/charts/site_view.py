"""The network as a drawing of its sites: what fits on a screen however large it is, at the cost of its sites."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from django.db.models import QuerySet

from apps.charts.topology_view import (
    BLIND,
    DOWN,
    HELD,
    LOOK_OF,
    OK,
    OUTERMOST,
    PART,
    RANKS,
    ROOT,
    UNKNOWN,
    Edge,
    Node,
    Overlay,
    Picture,
)
from apps.inventory.models import Device
from apps.telemetry.reach import reach_by_site, reach_of_devices
from apps.topology.selectors import Wire

#: Routers of each site, counted by how they look.
Looks = Mapping[UUID, Counter[str]]
_WORST = (ROOT, DOWN, PART, BLIND, HELD, UNKNOWN, OK)
NOBODY: Counter[str] = Counter()


def looks_by_site(devices: QuerySet[Device], overlay: Overlay, at: datetime) -> Looks:
    """How these routers look, with what an incident says of them. One query; two more for an incident."""
    looks = {
        site_id: Counter({LOOK_OF.get(word, UNKNOWN): number for word, number in counted.items()})
        for site_id, counted in reach_by_site(devices, at).items()
    }
    named = overlay.roots | overlay.held
    if not named:
        return looks
    site_of = dict(devices.filter(pk__in=named).values_list("pk", "site_id"))
    reach = reach_of_devices(at, list(site_of))
    for pk, site_id in site_of.items():
        now = LOOK_OF[reach[pk]] if pk in reach else UNKNOWN
        looks[site_id][now] -= 1
        looks[site_id][overlay.look(pk, now)] += 1
    return looks


def ranks_by_site(devices: QuerySet[Device]) -> dict[UUID, int]:
    """How near to the middle of the network each site stands, by its innermost router. One query."""
    found: dict[UUID, int] = {}
    for site_id, role in devices.order_by().values_list("site_id", "role").distinct():
        found[site_id] = min(found.get(site_id, OUTERMOST), RANKS.get(role, OUTERMOST))
    return found


def by_site(
    looks: Looks,
    wires: Collection[Wire],
    *,
    ranks: Mapping[UUID, int],
    wire_looks: Mapping[UUID, str],
    sites: Mapping[UUID, str],
    overlay: Overlay,
    address: str,
) -> Picture:
    """A node per site that has routers, an edge per pair of them; ``address`` is a site's page with ``{id}`` in it."""
    nodes = [
        Node(
            id=str(pk),
            label=name,
            kind="site",
            look=site_look(looks[pk]),
            rank=ranks.get(pk, OUTERMOST),
            url=address.format(id=pk),
            note=str(looks[pk].total()),
        )
        for pk, name in sites.items()
        if pk in looks
    ]
    drawn = [wire for wire in wires if wire.a_id in sites and wire.z_id in sites]
    return Picture(tuple(nodes), between_sites(drawn, looks=wire_looks, overlay=overlay))


def site_look(inside: Counter[str]) -> str:
    """Of a site by its routers: all down is down, some is a warning."""
    if inside[ROOT]:
        return ROOT
    if inside[DOWN] or inside[HELD]:
        bad = DOWN if inside[DOWN] else HELD
        return PART if inside[OK] else bad
    return next((look for look in _WORST if inside[look]), UNKNOWN)


def between_sites(
    wires: Collection[Wire],
    *,
    looks: Mapping[UUID, str],
    overlay: Overlay,
    use: Mapping[UUID, int] = MappingProxyType({}),
) -> tuple[Edge, ...]:
    """One edge per pair of sites, of wires whose ends are sites; some of several wires down is a warning, all of them
    is down. It is as full as the fullest of its wires."""
    pairs: dict[tuple[str, str], list[Wire]] = defaultdict(list)
    for wire in wires:
        one, other = sorted((str(wire.a_id), str(wire.z_id)))
        pairs[one, other].append(wire)
    edges = []
    for (one, other), group in pairs.items():
        found = [overlay.look(wire.id, looks.get(wire.id, UNKNOWN)) for wire in group]
        worst = next(look for look in _WORST if look in found)
        look = PART if worst in {DOWN, ROOT} and OK in found else worst
        label = str(len(group)) if len(group) > 1 else ""
        fullest = max((use[wire.id] for wire in group if wire.id in use), default=None)
        edges.append(Edge(f"{one}-{other}", one, other, look, label, use=fullest))
    return tuple(edges)
