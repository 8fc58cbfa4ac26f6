"""The topology view by site, for networks too large to show every router."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from django.db.models import QuerySet

from apps.charts.topology_view import (
    BLIND,
    DOWN,
    LOOK_BY_REACHABILITY,
    OK,
    OUTERMOST,
    PART,
    RANKS,
    ROOT,
    SUPPRESSED,
    UNKNOWN,
    Edge,
    Node,
    Overlay,
    TopologyView,
)
from apps.inventory.models import Device
from apps.telemetry.reachability import reachability_by_site, reachability_of_devices
from apps.topology.selectors import MapLink

#: Site -> number of routers by look.
Looks = Mapping[UUID, Counter[str]]
_WORST = (ROOT, DOWN, PART, BLIND, SUPPRESSED, UNKNOWN, OK)
NO_DEVICES: Counter[str] = Counter()


def looks_by_site(devices: QuerySet[Device], overlay: Overlay, at: datetime) -> Looks:
    """Routers of each site by look, with an incident's verdict. One query; two more for an incident."""
    looks = {
        site_id: Counter(
            {LOOK_BY_REACHABILITY.get(word, UNKNOWN): number for word, number in counted.items()}
        )
        for site_id, counted in reachability_by_site(devices, at).items()
    }
    incident_devices = overlay.roots | overlay.suppressed
    if not incident_devices:
        return looks
    site_of = dict(devices.filter(pk__in=incident_devices).values_list("pk", "site_id"))
    reachability = reachability_of_devices(at, list(site_of))
    for pk, site_id in site_of.items():
        now = LOOK_BY_REACHABILITY[reachability[pk]] if pk in reachability else UNKNOWN
        looks[site_id][now] -= 1
        looks[site_id][overlay.look(pk, now)] += 1
    return looks


def ranks_by_site(devices: QuerySet[Device]) -> dict[UUID, int]:
    """The layer of each site: that of its router nearest to the core. One query."""
    found: dict[UUID, int] = {}
    for site_id, role in devices.order_by().values_list("site_id", "role").distinct():
        found[site_id] = min(found.get(site_id, OUTERMOST), RANKS.get(role, OUTERMOST))
    return found


def by_site(
    looks: Looks,
    links: Collection[MapLink],
    *,
    ranks: Mapping[UUID, int],
    link_looks: Mapping[UUID, str],
    sites: Mapping[UUID, str],
    overlay: Overlay,
    address: str,
) -> TopologyView:
    """A node per site with routers, an edge per linked pair; ``address`` is a site's URL with ``{id}`` in it."""
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
    shown = [link for link in links if link.a_id in sites and link.z_id in sites]
    return TopologyView(tuple(nodes), between_sites(shown, looks=link_looks, overlay=overlay))


def site_look(inside: Counter[str]) -> str:
    """The look of a site by its routers: all down is down, some down is a warning."""
    if inside[ROOT]:
        return ROOT
    if inside[DOWN] or inside[SUPPRESSED]:
        bad = DOWN if inside[DOWN] else SUPPRESSED
        return PART if inside[OK] else bad
    return next((look for look in _WORST if inside[look]), UNKNOWN)


def between_sites(
    links: Collection[MapLink],
    *,
    looks: Mapping[UUID, str],
    overlay: Overlay,
    use: Mapping[UUID, int] = MappingProxyType({}),
) -> tuple[Edge, ...]:
    """One edge per pair of sites, for links whose ends are sites: some links down is a warning, all down is down. Its
    utilization is that of the busiest link."""
    pairs: dict[tuple[str, str], list[MapLink]] = defaultdict(list)
    for link in links:
        one, other = sorted((str(link.a_id), str(link.z_id)))
        pairs[one, other].append(link)
    edges = []
    for (one, other), group in pairs.items():
        found = [overlay.look(link.id, looks.get(link.id, UNKNOWN)) for link in group]
        worst = next(look for look in _WORST if look in found)
        look = PART if worst in {DOWN, ROOT} and OK in found else worst
        label = str(len(group)) if len(group) > 1 else ""
        highest_use = max((use[link.id] for link in group if link.id in use), default=None)
        edges.append(Edge(f"{one}-{other}", one, other, look, label, use=highest_use))
    return tuple(edges)
