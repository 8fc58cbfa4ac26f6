"""The search over devices, their ports, sites and incidents."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from apps.authorization.access import Access
from apps.console.web.navigation import Navigation, Section
from apps.incidents.models import Incident
from apps.incidents.selectors import incidents_matching
from apps.inventory import selectors as inventory
from apps.inventory.models import Device, Interface, Site
from apps.inventory.searching import search_devices, search_interfaces, search_sites

MAX_PER_KIND = 8


@dataclass(frozen=True)
class SearchPage:
    """The results by kind."""

    words: str
    #: Console pages whose name contains the search text; all of them without one.
    pages: tuple[Section, ...] = ()
    devices: tuple[Device, ...] = ()
    #: Sites of the devices that the viewer may name.
    named_site_ids: Collection[UUID] = frozenset()
    #: Ports, with their devices.
    interfaces: tuple[Interface, ...] = ()
    sites: tuple[Site, ...] = ()
    incidents: tuple[Incident, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.pages or self.devices or self.interfaces or self.sites or self.incidents)


def search_page(access: Access, words: str) -> SearchPage:
    """Six queries; two without a search text."""
    known = [entry for group in Navigation(access).groups for entry in group]
    wanted = words.casefold()
    pages = tuple(entry for entry in known if wanted in entry.label.casefold())
    if not words:
        return SearchPage(words, pages=pages)
    visible = inventory.visible_devices(access)
    devices = visible.select_related("site").order_by("name")
    ports = search_interfaces(visible, words).order_by("device__name", "name")
    sites = inventory.visible_sites(access).order_by("name")
    found = tuple(search_devices(devices, words)[:MAX_PER_KIND])
    return SearchPage(
        words=words,
        pages=pages,
        devices=found,
        named_site_ids=inventory.visible_site_ids(access, {row.site_id for row in found}),
        interfaces=tuple(ports[:MAX_PER_KIND]),
        sites=tuple(search_sites(sites, words)[:MAX_PER_KIND]),
        incidents=tuple(incidents_matching(access, words, most=MAX_PER_KIND)),
    )
