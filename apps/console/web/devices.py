"""The list of devices: filtered and paged by the server, whatever their number."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from apps.agents.web.login_approvals import CHANGED, HELD
from apps.alerts.selectors import open_alert_counts
from apps.authorization.access import Access
from apps.console.web.device_order import COLUMNS, UPTIME, in_order
from apps.console.web.site_field import SiteField, site_field
from apps.console.web.states import REACH, UNREAD
from apps.inventory import selectors as inventory
from apps.inventory.choices import DeviceRole, LoginState
from apps.inventory.destinations import login_statuses
from apps.inventory.device_entities import entities_on_devices
from apps.inventory.models import Device
from apps.pages.durations import format_duration, format_seconds
from apps.pages.ordering import DEFAULT_ORDERING, SORT, Heading, Ordering, headings
from apps.pages.paging import Pager, paginate
from apps.pages.params import query_string
from apps.pages.states import State
from apps.telemetry.queries import LatestValue, latest
from apps.telemetry.reachability import (
    UP,
    Reachability,
    devices_by_reachability,
    reachability_by_site,
    reachability_of_devices,
)

#: States of logins that somebody has to decide on.
LOGINS = {LoginState.HELD: HELD, LoginState.CERTIFICATE_CHANGED: CHANGED}


@dataclass(frozen=True)
class DeviceRow:
    """One device."""

    id: UUID
    name: str
    site_id: UUID
    site: str
    role: str
    address: str
    version: str
    board: str
    state: State
    uptime: str
    #: How long ago it was last read.
    read_ago: str
    read_at: datetime | None
    #: Nothing while it is not known to be up.
    uptime_seconds: float | None
    alerts: int
    #: Set while somebody has to decide on its login.
    login: State | None = None


@dataclass(frozen=True)
class Choice:
    """One value of a filter; the address keeps the others."""

    value: str
    label: str
    query: str
    is_chosen: bool
    number: int | None = None


@dataclass(frozen=True)
class DeviceFilter:
    """What the address asks for; values that nothing has are ignored."""

    words: str = ""
    site: UUID | None = None
    #: Of the names and codes of sites; not together with one site.
    site_words: str = ""
    role: str = ""
    state: str = ""
    order: Ordering = DEFAULT_ORDERING

    def chosen(self) -> dict[str, str]:
        """What narrows the list, as the address says it."""
        site = str(self.site) if self.site else self.site_words
        return {"q": self.words, "site": site, "role": self.role, "state": self.state}

    def asked(self) -> dict[str, str]:
        """All of it."""
        return {**self.chosen(), SORT: str(self.order)}


@dataclass(frozen=True)
class DevicesPage:
    """The list in one filter."""

    filter: DeviceFilter
    is_filtered: bool
    states: tuple[Choice, ...]
    roles: tuple[Choice, ...]
    site: SiteField
    headings: tuple[Heading, ...]
    rows: tuple[DeviceRow, ...]
    pager: Pager
    all: int


def devices_page(access: Access, asked: DeviceFilter, *, number: int, at: datetime) -> DevicesPage:
    """Fourteen queries, whatever the size; two more in the order of alerts."""
    sites = inventory.visible_site_names(access)
    counted = sum(
        reachability_by_site(inventory.visible_devices(access), at).values(), start=Counter[str]()
    )
    rows, pager = paginate(chosen_devices(access, asked, at), number=number, params=asked.asked())
    reach = reachability_of_devices(at, [device.id for device in rows])
    return DevicesPage(
        filter=asked,
        is_filtered=any(asked.chosen().values()),
        states=_choices(
            asked,
            "state",
            (
                ("", _("All"), counted.total()),
                *((k, str(v.word), counted[k]) for k, v in REACH.items()),
            ),
        ),
        roles=_choices(
            asked,
            "role",
            (("", _("Any role"), None), *((k, str(v), None) for k, v in DeviceRole.choices)),
        ),
        site=site_field(sites, asked.asked(), chosen=asked.site, words=asked.site_words),
        headings=headings(COLUMNS, asked.order, asked.chosen()),
        rows=device_rows(access, rows, reach, sites={pk: name for pk, name, _code in sites}, at=at),
        pager=pager,
        all=counted.total(),
    )


def chosen_devices(access: Access, asked: DeviceFilter, at: datetime) -> QuerySet[Device]:
    """The devices of one filter, in its order."""
    rows = inventory.visible_devices(access)
    if asked.words:
        rows = inventory.search_devices(rows, asked.words)
    if asked.site:
        rows = rows.filter(site=asked.site)
    elif asked.site_words:
        fitting = inventory.search_sites(inventory.visible_sites(access), asked.site_words)
        rows = rows.filter(site__in=fitting)
    if asked.role:
        rows = rows.filter(role=asked.role)
    if asked.state == UNREAD:
        rows = rows.exclude(pk__in=devices_by_reachability(at))
    elif asked.state:
        rows = rows.filter(pk__in=devices_by_reachability(at, Reachability(asked.state)))
    return in_order(access, rows, asked.order, at)


def _choices(
    asked: DeviceFilter, name: str, values: Iterable[tuple[str, str, int | None]]
) -> tuple[Choice, ...]:
    now = asked.asked()
    return tuple(
        Choice(
            value=value,
            label=str(label),
            query=query_string({**now, name: value}),
            is_chosen=now[name] == value,
            number=number,
        )
        for value, label, number in values
    )


def device_rows(
    access: Access,
    devices: Iterable[Device],
    reach: Mapping[UUID, Reachability],
    *,
    sites: Mapping[UUID, str],
    at: datetime,
) -> tuple[DeviceRow, ...]:
    """Devices as rows, in their order. Nine queries."""
    devices = list(devices)
    parts = entities_on_devices([device.id for device in devices])
    read = latest(metrics=[UP, UPTIME], entity_ids=[device.id for device in devices])
    values = {(key.entity_id, key.metric): value for key, value in read.items()}
    alerts: Counter[UUID] = Counter()
    for entity_id, number in open_alert_counts(access, list(parts)).items():
        alerts[parts[entity_id]] += number
    logins = login_statuses(devices)
    rows = []
    for device in devices:
        state = REACH[reach.get(device.id, UNREAD)]
        answered = values.get((device.id, UP))
        uptime = values.get((device.id, UPTIME))
        rows.append(
            DeviceRow(
                id=device.id,
                name=device.name,
                site_id=device.site_id,
                site=sites.get(device.site_id, ""),
                role=device.get_role_display(),
                address=device.management_address,
                version=device.version,
                board=device.board_name,
                state=state,
                uptime=uptime_of(uptime, state),
                read_ago=format_duration(answered.ts, at) if answered else "",
                read_at=answered.ts if answered else None,
                uptime_seconds=seconds_up(uptime, state),
                alerts=alerts[device.id],
                login=LOGINS.get(logins[device.id].state),
            )
        )
    return tuple(rows)


def uptime_of(read: LatestValue | None, state: State) -> str:
    """How long it has been up, as operators say it."""
    seconds = seconds_up(read, state)
    return "" if seconds is None else format_seconds(seconds)


def seconds_up(read: LatestValue | None, state: State) -> float | None:
    """How long it has been up; nothing while it is not known to be up."""
    return read.value if read is not None and state is REACH[Reachability.UP] else None
