"""Sites: the list and one site, with devices counted by state."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _lazy

from apps.authorization.access import Access
from apps.console.web.devices import DeviceRow, device_rows
from apps.console.web.states import REACHABILITY_STATES, UNKNOWN_REACHABILITY
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

MAX_DEVICES = 200
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
    """The filter and the sort order of the URL."""

    words: str = ""
    only_problems: bool = False
    order: Ordering = DEFAULT_ORDERING

    def filter_params(self) -> dict[str, str]:
        """The parameters that narrow the list."""
        return {"q": self.words, "state": "problems" if self.only_problems else ""}

    def params(self) -> dict[str, str]:
        """All parameters, with the sort order."""
        return {**self.filter_params(), SORT: str(self.order)}

    @property
    def all_query(self) -> str:
        """The query string of the same filter with sites of any state."""
        return query_string({**self.params(), "state": ""})

    @property
    def problems_query(self) -> str:
        """The query string of the same filter with problems only."""
        return query_string({**self.params(), "state": "problems"})


@dataclass(frozen=True)
class SitesPage:
    """The list of sites in one filter."""

    filter: SiteFilter
    headings: tuple[Heading, ...]
    rows: tuple[SiteRow, ...]
    pager: Pager
    problems: int
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
    """The devices that this member may view, counted by state and site, including sites that they may not view. One
    query."""
    return reachability_by_site(inventory.visible_devices(access), at)


def site_rows(access: Access, counted: Counted) -> list[SiteRow]:
    """Every site that this member may view, worst first. One query."""
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
        unknown=counted[UNKNOWN_REACHABILITY],
        total=counted.total(),
    )


def _state(counted: Counter[str]) -> State:
    if not counted.total():
        return NONE
    if counted[Reachability.DOWN]:
        return WARN if counted[Reachability.UP] else DOWN
    if counted[Reachability.BLIND]:
        return BLIND
    return UNKNOWN if counted[UNKNOWN_REACHABILITY] else UP


def sites_page(access: Access, filters: SiteFilter, *, number: int, at: datetime) -> SitesPage:
    """Two queries."""
    every = site_rows(access, devices_by_site(access, at=at))
    rows = filtered_sites(every, filters)
    pager = pager_for(len(rows), number=number, params=filters.params())
    return SitesPage(
        filter=filters,
        headings=headings(COLUMNS, filters.order, filters.filter_params()),
        rows=tuple(rows[max(pager.first - 1, 0) : pager.last]),
        pager=pager,
        problems=sum(1 for row in every if row.state.is_problem),
        all=len(every),
    )


def filtered_sites(every: list[SiteRow], filters: SiteFilter) -> list[SiteRow]:
    """The sites of one filter, in its order: by a column, then by name."""
    wanted = filters.words.casefold()
    rows = [
        row
        for row in every
        if (wanted in row.name.casefold() or wanted in row.code.casefold())
        and (row.state.is_problem or not filters.only_problems)
    ]
    if not filters.order.key:
        return rows
    rows.sort(key=lambda row: (row.name.casefold(), row.id))
    return sorted(rows, key=_KEYS[filters.order.key], reverse=filters.order.descends)


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
    reachability = reachability_of_devices(at, [device.id for device in devices])
    devices.sort(
        key=lambda device: (
            REACHABILITY_STATES[reachability.get(device.id, UNKNOWN_REACHABILITY)].rank
        )
    )
    parts = entities_on_devices([device.id for device in devices])
    counted = Counter(str(reachability.get(device.id, UNKNOWN_REACHABILITY)) for device in devices)
    shown = devices[:MAX_DEVICES]
    return SitePage(
        site=site,
        row=_row(site.id, site.name, site.code, counted),
        devices=device_rows(access, shown, reachability, sites={site.id: site.name}, at=at),
        more=len(devices) - len(shown),
        incidents=tuple(incidents_involving(access, parts, only_open=True)),
        notices=notices_about(access, site_id=site.id, at=at),
    )
