"""The list of devices: filtered, sorted and paged by the database."""

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
from apps.console.web.states import REACHABILITY_STATES, UNKNOWN_REACHABILITY
from apps.inventory import selectors as inventory
from apps.inventory.choices import DeviceRole, LoginState
from apps.inventory.destinations import login_statuses
from apps.inventory.device_entities import entities_on_devices
from apps.inventory.models import Device
from apps.inventory.searching import search_devices, search_sites
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

#: States of logins that await approval.
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
    #: Time since the last poll.
    read_ago: str
    read_at: datetime | None
    #: None unless the device is up.
    uptime_seconds: float | None
    alerts: int
    #: Set while its login awaits approval.
    login: State | None = None


@dataclass(frozen=True)
class Choice:
    """One value of a filter; its URL keeps the other parameters."""

    value: str
    label: str
    query: str
    is_chosen: bool
    number: int | None = None


@dataclass(frozen=True)
class DeviceFilter:
    """The filter and the sort order of the URL; unknown values are ignored."""

    words: str = ""
    site: UUID | None = None
    #: Text search in names and codes of sites; not combined with ``site``.
    site_words: str = ""
    role: str = ""
    state: str = ""
    order: Ordering = DEFAULT_ORDERING

    def filter_params(self) -> dict[str, str]:
        """The parameters that narrow the list."""
        site = str(self.site) if self.site else self.site_words
        return {"q": self.words, "site": site, "role": self.role, "state": self.state}

    def params(self) -> dict[str, str]:
        """All parameters, with the sort order."""
        return {**self.filter_params(), SORT: str(self.order)}


@dataclass(frozen=True)
class DevicesPage:
    """One page of the filtered list."""

    filter: DeviceFilter
    is_filtered: bool
    states: tuple[Choice, ...]
    roles: tuple[Choice, ...]
    site: SiteField
    headings: tuple[Heading, ...]
    rows: tuple[DeviceRow, ...]
    pager: Pager
    all: int


def devices_page(
    access: Access, filters: DeviceFilter, *, number: int, at: datetime
) -> DevicesPage:
    """Fourteen queries, whatever the size; two more in the order of alerts."""
    sites = inventory.visible_site_names(access)
    counted = sum(
        reachability_by_site(inventory.visible_devices(access), at).values(), start=Counter[str]()
    )
    rows, pager = paginate(
        filtered_devices(access, filters, at), number=number, params=filters.params()
    )
    reachability = reachability_of_devices(at, [device.id for device in rows])
    return DevicesPage(
        filter=filters,
        is_filtered=any(filters.filter_params().values()),
        states=_choices(
            filters,
            "state",
            (
                ("", _("All"), counted.total()),
                *((k, str(v.word), counted[k]) for k, v in REACHABILITY_STATES.items()),
            ),
        ),
        roles=_choices(
            filters,
            "role",
            (("", _("Any role"), None), *((k, str(v), None) for k, v in DeviceRole.choices)),
        ),
        site=site_field(sites, filters.params(), chosen=filters.site, words=filters.site_words),
        headings=headings(COLUMNS, filters.order, filters.filter_params()),
        rows=device_rows(
            access, rows, reachability, sites={pk: name for pk, name, _code in sites}, at=at
        ),
        pager=pager,
        all=counted.total(),
    )


def filtered_devices(access: Access, filters: DeviceFilter, at: datetime) -> QuerySet[Device]:
    """The devices of one filter, in its order."""
    rows = inventory.visible_devices(access)
    if filters.words:
        rows = search_devices(rows, filters.words)
    if filters.site:
        rows = rows.filter(site=filters.site)
    elif filters.site_words:
        matches = search_sites(inventory.visible_sites(access), filters.site_words)
        rows = rows.filter(site__in=matches)
    if filters.role:
        rows = rows.filter(role=filters.role)
    if filters.state == UNKNOWN_REACHABILITY:
        rows = rows.exclude(pk__in=devices_by_reachability(at))
    elif filters.state:
        rows = rows.filter(pk__in=devices_by_reachability(at, Reachability(filters.state)))
    return in_order(access, rows, filters.order, at)


def _choices(
    filters: DeviceFilter, name: str, values: Iterable[tuple[str, str, int | None]]
) -> tuple[Choice, ...]:
    now = filters.params()
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
    reachability: Mapping[UUID, Reachability],
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
        state = REACHABILITY_STATES[reachability.get(device.id, UNKNOWN_REACHABILITY)]
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
    """The uptime as text."""
    seconds = seconds_up(read, state)
    return "" if seconds is None else format_seconds(seconds)


def seconds_up(read: LatestValue | None, state: State) -> float | None:
    """The uptime in seconds; None unless the device is up."""
    return (
        read.value if read is not None and state is REACHABILITY_STATES[Reachability.UP] else None
    )
