"""Sites: what stands there and how it is."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _lazy

from apps.authorization.access import Access
from apps.console.web.devices import DeviceRow, device_rows
from apps.console.web.states import REACH, UNREAD
from apps.console.web.windows import Notice, notices_about
from apps.incidents.models import Incident
from apps.incidents.selectors import incidents_involving
from apps.inventory import selectors as inventory
from apps.inventory.device_entities import entities_on_devices
from apps.inventory.models import Site
from apps.pages.ordering import DEFAULT_ORDERING, SORT, Column, Heading, Ordering, headings
from apps.pages.paging import Pager, pager_for
from apps.pages.params import query_string
from apps.pages.states import BLIND, DOWN, NONE, UNKNOWN, UP, WARN, State
from apps.telemetry.reachability import Reachability, reachability_by_site, reachability_of_devices

MOST_DEVICES = 200
COLUMNS = (
    Column("name", _lazy("Site")),
    Column("state", _lazy("State")),
    Column("down", _lazy("Down"), is_number=True),
    Column("blind", _lazy("Blind"), is_number=True),
    Column("unknown", _lazy("Unknown"), is_number=True),
    Column("up", _lazy("Up"), is_number=True),
    Column("devices", _lazy("Devices"), is_number=True),
)


@dataclass(frozen=True)
class SiteRow:
    """One site with its devices counted by state."""

    id: UUID
    name: str
    code: str
    state: State
    up: int
    down: int
    blind: int
    unknown: int
    total: int


@dataclass(frozen=True)
class SiteFilter:
    """What the address asks for."""

    words: str = ""
    only_troubled: bool = False
    order: Ordering = DEFAULT_ORDERING

    def chosen(self) -> dict[str, str]:
        """What narrows the list, as the address says it."""
        return {"q": self.words, "state": "troubled" if self.only_troubled else ""}

    def asked(self) -> dict[str, str]:
        """All of it."""
        return {**self.chosen(), SORT: str(self.order)}

    @property
    def query_of_all(self) -> str:
        """The address of the same without looking at trouble."""
        return query_string({**self.asked(), "state": ""})

    @property
    def query_of_troubled(self) -> str:
        """The address of the same in trouble alone."""
        return query_string({**self.asked(), "state": "troubled"})


@dataclass(frozen=True)
class SitesPage:
    """The list of sites in one filter."""

    filter: SiteFilter
    headings: tuple[Heading, ...]
    rows: tuple[SiteRow, ...]
    pager: Pager
    troubled: int
    all: int


@dataclass(frozen=True)
class SitePage:
    """One site."""

    site: Site
    row: SiteRow
    devices: tuple[DeviceRow, ...]
    more: int
    incidents: tuple[Incident, ...]
    notices: tuple[Notice, ...]


Counted = Mapping[UUID, Counter[str]]


def devices_by_site(access: Access, *, at: datetime) -> Counted:
    """The devices that this member may see, counted by state, site by site: of sites too that they do not see. One
    query."""
    return reachability_by_site(inventory.visible_devices(access), at)


def site_rows(access: Access, counted: Counted) -> list[SiteRow]:
    """Every site that this member may see, worst first. One query."""
    rows = [
        _row(site_id, name, code, counted.get(site_id, Counter()))
        for site_id, name, code in inventory.visible_site_names(access)
    ]
    return sorted(rows, key=lambda row: (row.state.rank, -row.down, -row.blind, row.name))


def _row(site_id: UUID, name: str, code: str, counted: Counter[str]) -> SiteRow:
    return SiteRow(
        id=site_id,
        name=name,
        code=code,
        state=_state(counted),
        up=counted[Reachability.UP],
        down=counted[Reachability.DOWN],
        blind=counted[Reachability.BLIND],
        unknown=counted[UNREAD],
        total=counted.total(),
    )


def _state(counted: Counter[str]) -> State:
    if not counted.total():
        return NONE
    if counted[Reachability.DOWN]:
        return WARN if counted[Reachability.UP] else DOWN
    if counted[Reachability.BLIND]:
        return BLIND
    return UNKNOWN if counted[UNREAD] else UP


def sites_page(access: Access, asked: SiteFilter, *, number: int, at: datetime) -> SitesPage:
    """Two queries."""
    every = site_rows(access, devices_by_site(access, at=at))
    rows = chosen_sites(every, asked)
    pager = pager_for(len(rows), number=number, params=asked.asked())
    return SitesPage(
        filter=asked,
        headings=headings(COLUMNS, asked.order, asked.chosen()),
        rows=tuple(rows[max(pager.first - 1, 0) : pager.last]),
        pager=pager,
        troubled=sum(1 for row in every if row.state.is_problem),
        all=len(every),
    )


def chosen_sites(every: list[SiteRow], asked: SiteFilter) -> list[SiteRow]:
    """The sites of one filter, in its order: by a column, then by name."""
    wanted = asked.words.casefold()
    rows = [
        row
        for row in every
        if (wanted in row.name.casefold() or wanted in row.code.casefold())
        and (row.state.is_problem or not asked.only_troubled)
    ]
    if not asked.order.key:
        return rows
    rows.sort(key=lambda row: (row.name.casefold(), row.id))
    return sorted(rows, key=_KEYS[asked.order.key], reverse=asked.order.descends)


_KEYS: Mapping[str, Callable[[SiteRow], Any]] = {
    "name": lambda row: row.name.casefold(),
    "state": lambda row: row.state.rank,
    "down": lambda row: row.down,
    "blind": lambda row: row.blind,
    "unknown": lambda row: row.unknown,
    "up": lambda row: row.up,
    "devices": lambda row: row.total,
}


def site_page(access: Access, site: Site, *, at: datetime) -> SitePage:
    """Eight queries."""
    devices = list(inventory.visible_devices(access).filter(site=site).order_by("name"))
    reach = reachability_of_devices(at, [device.id for device in devices])
    devices.sort(key=lambda device: REACH[reach.get(device.id, UNREAD)].rank)
    parts = entities_on_devices([device.id for device in devices])
    counted = Counter(str(reach.get(device.id, UNREAD)) for device in devices)
    shown = devices[:MOST_DEVICES]
    return SitePage(
        site=site,
        row=_row(site.id, site.name, site.code, counted),
        devices=device_rows(access, shown, reach, sites={site.id: site.name}, at=at),
        more=len(devices) - len(shown),
        incidents=tuple(incidents_involving(access, parts, only_open=True)),
        notices=notices_about(access, site_id=site.id, at=at),
    )
