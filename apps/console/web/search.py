"""The search over devices, sites and incidents."""

from dataclasses import dataclass
from uuid import UUID

from apps.authorization.access import Access
from apps.console.web.navigation import Navigation, Section
from apps.incidents.models import Incident
from apps.incidents.selectors import incidents_matching
from apps.inventory import selectors as inventory
from apps.inventory.models import Device, Site

MAX_PER_KIND = 8


@dataclass(frozen=True)
class FoundDevice:
    """A device; the site's name is empty where it is outside what a limited member may not view."""

    id: UUID
    name: str
    management_address: str
    site_name: str


@dataclass(frozen=True)
class SearchPage:
    """The results by kind."""

    words: str
    #: Console pages whose name contains the search text; all of them without one.
    pages: tuple[Section, ...] = ()
    devices: tuple[FoundDevice, ...] = ()
    sites: tuple[Site, ...] = ()
    incidents: tuple[Incident, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.pages or self.devices or self.sites or self.incidents)


def search_page(access: Access, words: str) -> SearchPage:
    """Five queries; two without a search text."""
    known = [entry for group in Navigation(access).groups for entry in group]
    wanted = words.casefold()
    pages = tuple(entry for entry in known if wanted in entry.label.casefold())
    if not words:
        return SearchPage(words, pages=pages)
    devices = inventory.visible_devices(access).select_related("site").order_by("name")
    sites = inventory.visible_sites(access).order_by("name")
    return SearchPage(
        words=words,
        pages=pages,
        devices=_found(access, list(inventory.search_devices(devices, words)[:MAX_PER_KIND])),
        sites=tuple(inventory.search_sites(sites, words)[:MAX_PER_KIND]),
        incidents=tuple(incidents_matching(access, words, most=MAX_PER_KIND)),
    )


def _found(access: Access, devices: list[Device]) -> tuple[FoundDevice, ...]:
    named = inventory.visible_site_ids(access, {device.site_id for device in devices})
    return tuple(
        FoundDevice(
            id=device.id,
            name=device.name,
            management_address=device.management_address,
            site_name=device.site.name if device.site_id in named else "",
        )
        for device in devices
    )
