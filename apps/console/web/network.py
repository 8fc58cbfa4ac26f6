"""The map and the topology: the network with its state and an optional incident overlay."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext_lazy as _lazy

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.charts import site_view, topology_view
from apps.charts.topology_view import Overlay, TopologyView
from apps.console.web.sites import SiteRow, devices_by_site, site_rows
from apps.incidents.limits import is_fully_visible
from apps.incidents.models import Incident
from apps.incidents.web.impact import overlay_of
from apps.inventory import selectors as inventory
from apps.inventory.choices import DeviceRole
from apps.inventory.models import Device
from apps.pages.states import BLIND, DOWN, SUPPRESSED, UNKNOWN, State
from apps.telemetry.utilization import link_utilization
from apps.topology.selectors import NetworkMap, dependency_groups, links_between_sites, network_map

#: More routers than this are drawn as sites until a site is opened.
MAX_DEVICES = 120
MAX_INCIDENTS = 30
MAX_ROWS = 12
PARTLY = State("warn", "warn", _lazy("Partly down"), 2)
_WORDS = {
    topology_view.ROOT: DOWN,
    topology_view.DOWN: DOWN,
    topology_view.PART: PARTLY,
    topology_view.BLIND: BLIND,
    topology_view.UNKNOWN: UNKNOWN,
    topology_view.SUPPRESSED: SUPPRESSED,
}
_PLACEHOLDER_ID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class NetworkPage:
    """The data of the page around the drawing."""

    incidents: tuple[Incident, ...]
    chosen: Incident | None
    role: str
    roles: tuple[tuple[str, str], ...]
    rows: tuple[SiteRow, ...]
    problems: int
    all: int
    without_coordinates: int
    site: tuple[UUID, str] | None
    is_collapsed: bool
    devices: int
    #: The query string of the data request.
    query: str


@dataclass(frozen=True)
class NetworkParams:
    """The parameters of the URL; an unknown incident or site is ignored."""

    incident: UUID | None = None
    site: UUID | None = None
    role: str = ""
    wants_sites: bool = False

    def as_query(self) -> dict[str, str]:
        """As query parameters."""
        found = {
            "incident": str(self.incident or ""),
            "site": str(self.site or ""),
            "role": self.role,
            "collapse": "1" if self.wants_sites else "",
        }
        return {name: value for name, value in found.items() if value}


def network_page(access: Access, params: NetworkParams, *, query: str, at: datetime) -> NetworkPage:
    """Five queries."""
    counted = devices_by_site(access, at=at)
    rows = site_rows(access, counted)
    devices = sum(site.total() for site in counted.values())
    problems = [row for row in rows if row.state.is_problem]
    with_coordinates = {row.id for row in inventory.sites_with_coordinates(access)}
    open_ones = Incident.objects.visible_to(access).open().order_by("-started_at")
    incidents = tuple(open_ones[:MAX_INCIDENTS])
    chosen = _incident(access, params.incident)
    names = {row.id: row.name for row in rows}
    return NetworkPage(
        incidents=incidents if chosen is None or chosen in incidents else (chosen, *incidents),
        chosen=chosen,
        role=params.role,
        roles=tuple((str(value), str(label)) for value, label in DeviceRole.choices),
        rows=tuple((problems or rows)[:MAX_ROWS]),
        problems=len(problems),
        all=len(rows),
        without_coordinates=sum(1 for row in rows if row.id not in with_coordinates),
        site=(params.site, names[params.site]) if params.site and params.site in names else None,
        is_collapsed=params.site is None and (params.wants_sites or devices > MAX_DEVICES),
        devices=devices,
        query=query,
    )


def _incident(access: Access, incident_id: UUID | None) -> Incident | None:
    rows = Incident.objects.visible_to(access)
    return rows.filter(pk=incident_id).first() if incident_id else None


def _overlay(access: Access, params: NetworkParams) -> Overlay:
    incident = _incident(access, params.incident)
    return overlay_of(incident) if incident and is_fully_visible(access, incident) else Overlay()


def _devices(access: Access, params: NetworkParams) -> QuerySet[Device]:
    devices = inventory.visible_devices(access)
    return devices.filter(role=params.role) if params.role else devices


def topology_graph(access: Access, params: NetworkParams, *, at: datetime) -> TopologyView:
    """By router up to MAX_DEVICES, else by site. At most twelve queries, whatever the size."""
    overlay = _overlay(access, params)
    sites = {pk: name for pk, name, _code in inventory.visible_site_names(access)}
    if params.site:
        return _around(access, params.site, sites, overlay, at)
    looks = site_view.looks_by_site(_devices(access, params), overlay, at)
    if params.wants_sites or sum(site.total() for site in looks.values()) > MAX_DEVICES:
        site_links = links_between_sites(access, role=params.role)
        return site_view.by_site(
            looks,
            site_links,
            ranks=site_view.ranks_by_site(_devices(access, params)),
            link_looks=topology_view.link_looks(at, site_links),
            sites=sites,
            overlay=overlay,
            address=f"{reverse('console:topology')}?site={{id}}",
        )
    whole = network_map(access)
    shown = {k: row for k, row in whole.devices.items() if params.role in {"", row.role}}
    return _by_device(access, NetworkMap(shown, whole.links), sites, overlay, at)


def _around(
    access: Access, site_id: UUID, sites: Mapping[UUID, str], overlay: Overlay, at: datetime
) -> TopologyView:
    """One site with its directly linked devices, which are drawn as outlines."""
    inside = set(
        inventory.visible_devices(access).filter(site=site_id).values_list("pk", flat=True)
    )
    drawn = _by_device(access, network_map(access, around=inside), sites, overlay, at)
    return topology_view.faded(drawn, only={str(pk) for pk in inside})


def _by_device(
    access: Access,
    network: NetworkMap,
    sites: Mapping[UUID, str],
    overlay: Overlay,
    at: datetime,
) -> TopologyView:
    return topology_view.by_device(
        network,
        looks=topology_view.device_looks(at, network.devices),
        links=topology_view.link_looks(at, network.links),
        sites=sites,
        overlay=overlay,
        address=reverse("console:device", args=[_PLACEHOLDER_ID]).replace(_PLACEHOLDER_ID, "{id}"),
        groups=dependency_groups() if access.may(Permission.TOPOLOGY_VIEW) else (),
    )


def map_document(access: Access, params: NetworkParams, *, at: datetime) -> dict[str, Any]:
    """Sites with coordinates, and the links between them. At most nine queries, whatever the size."""
    overlay = _overlay(access, params)
    looks = site_view.looks_by_site(_devices(access, params), overlay, at)
    site_links = links_between_sites(access, role=params.role)
    sites_by_id = {row.id: row for row in inventory.sites_with_coordinates(access)}
    edges = site_view.between_sites(
        site_links,
        looks=topology_view.link_looks(at, site_links),
        overlay=overlay,
        use=link_utilization(at, site_links),
    )
    address = reverse("console:site", args=[_PLACEHOLDER_ID])
    sites = []
    for pk, site in sites_by_id.items():
        inside = looks.get(pk, site_view.NO_DEVICES)
        if params.role and not inside.total():
            continue
        look = site_view.site_look(inside) if inside.total() else topology_view.OK
        sites.append(
            {
                "id": str(pk),
                "name": site.name,
                "at": [site.longitude, site.latitude],
                "look": look,
                "word": str(_WORDS[look].word) if look in _WORDS else "",
                "bad": inside[topology_view.DOWN]
                + inside[topology_view.SUPPRESSED]
                + inside[topology_view.ROOT],
                "devices": inside.total(),
                "url": address.replace(_PLACEHOLDER_ID, str(pk)),
            }
        )
    shown = {site["id"] for site in sites}
    links = [
        {
            "from": [
                sites_by_id[UUID(edge.source)].longitude,
                sites_by_id[UUID(edge.source)].latitude,
            ],
            "to": [
                sites_by_id[UUID(edge.target)].longitude,
                sites_by_id[UUID(edge.target)].latitude,
            ],
            "look": edge.look,
            "use": edge.use,
            "name": f"{sites_by_id[UUID(edge.source)].name} ⇄ {sites_by_id[UUID(edge.target)].name}",
        }
        for edge in edges
        if edge.source in shown and edge.target in shown
    ]
    return {"sites": sites, "links": links}
