"""Maintenance windows: the list, and the windows of a device or a site."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.inventory.models import Device, Site
from apps.maintenance.choices import WindowState
from apps.maintenance.models import MaintenanceWindow
from apps.maintenance.selectors import (
    counts_by_state,
    current_windows_for,
    not_ended,
    visible_windows,
    windows_in_state,
)
from apps.pages.durations import format_duration
from apps.pages.paging import Pager, paginate
from apps.pages.params import query_string
from apps.pages.states import State

STATES = {
    WindowState.ACTIVE: State("maint", "maint", _lazy("Running"), 0),
    WindowState.PLANNED: State("info", "cal", _lazy("Planned"), 1),
    WindowState.OVER: State("off", "check", _lazy("Ended"), 9),
}
ALL = "all"
#: Sites and devices named in one row.
MAX_TARGETS_SHOWN = 3


@dataclass(frozen=True)
class WindowRow:
    """One window with the first of its sites and devices."""

    window: MaintenanceWindow
    state: State
    #: Time until its end or start; empty when it has ended.
    timing: str
    targets: tuple[Site | Device, ...]
    more: int
    can_end: bool

    @property
    def is_planned(self) -> bool:
        return self.state is STATES[WindowState.PLANNED]


@dataclass(frozen=True)
class Choice:
    """One filter of the list."""

    label: str
    query: str
    number: int
    is_chosen: bool


@dataclass(frozen=True)
class WindowsPage:
    """Windows of one filter."""

    state: str
    choices: tuple[Choice, ...]
    rows: tuple[WindowRow, ...]
    pager: Pager
    running: int
    planned: int
    all: int
    may_plan: bool


def windows_page(access: Access, *, state: str, number: int, at: datetime) -> WindowsPage:
    """Active and planned windows by start time; or those of one state, or all, the latest first.
    At most six queries."""
    visible = visible_windows(access)
    counts = counts_by_state(visible, at)
    rows = _in_order(visible, state, at).prefetch_related("targets__site", "targets__device")
    shown, pager = paginate(rows, number=number, params={"state": state})
    may_plan = access.may(Permission.MAINTENANCE_PLAN)
    return WindowsPage(
        state=state,
        choices=_choices(state, counts),
        rows=tuple(_row(row, may_plan=may_plan, at=at) for row in shown),
        pager=pager,
        running=counts[WindowState.ACTIVE],
        planned=counts[WindowState.PLANNED],
        all=sum(counts.values()),
        may_plan=may_plan,
    )


def _in_order(
    rows: QuerySet[MaintenanceWindow], state: str, at: datetime
) -> QuerySet[MaintenanceWindow]:
    if not state:
        return not_ended(rows, at).order_by("starts_at", "pk")
    chosen = rows if state == ALL else windows_in_state(rows, state, at)
    way = "" if state in {WindowState.ACTIVE, WindowState.PLANNED} else "-"
    return chosen.order_by(f"{way}starts_at", f"{way}pk")


def _choices(state: str, counts: dict[str, int]) -> tuple[Choice, ...]:
    coming = counts[WindowState.ACTIVE] + counts[WindowState.PLANNED]
    words = (
        ("", _("Running and planned"), coming),
        (WindowState.ACTIVE, _("Running"), counts[WindowState.ACTIVE]),
        (WindowState.PLANNED, _("Planned"), counts[WindowState.PLANNED]),
        (WindowState.OVER, _("Past"), counts[WindowState.OVER]),
        (ALL, _("All"), sum(counts.values())),
    )
    return tuple(
        Choice(label, query_string({"state": str(value)}), number, value == state)
        for value, label, number in words
    )


def _row(row: MaintenanceWindow, *, may_plan: bool, at: datetime) -> WindowRow:
    state = row.state_at(at)
    rows = [target.site or target.device for target in row.targets.all()]
    targets = sorted(filter(None, rows), key=lambda target: target.name.casefold())
    return WindowRow(
        window=row,
        state=STATES[state],
        timing=_timing(row, state, at),
        targets=tuple(targets[:MAX_TARGETS_SHOWN]),
        more=max(0, len(targets) - MAX_TARGETS_SHOWN),
        can_end=may_plan and state != WindowState.OVER,
    )


def _timing(row: MaintenanceWindow, state: WindowState, at: datetime) -> str:
    if state == WindowState.ACTIVE:
        return _("%(time)s left") % {"time": format_duration(at, row.ends_at)}
    if state == WindowState.PLANNED:
        return _("in %(time)s") % {"time": format_duration(at, row.starts_at)}
    return ""


@dataclass(frozen=True)
class Notice:
    """A window whose scope includes the object of a page."""

    title: str
    state: State
    is_planned: bool
    starts_at: datetime
    ends_at: datetime


def notices_about(
    access: Access, *, site_id: UUID | None, device_id: UUID | None = None, at: datetime
) -> tuple[Notice, ...]:
    """Active and planned windows of a device and its site, or of a site. One query."""
    rows = current_windows_for(
        access,
        site_ids=[site_id] if site_id else [],
        device_ids=[device_id] if device_id else [],
        at=at,
    )
    return tuple(
        Notice(
            title=row.title,
            state=STATES[row.state_at(at)],
            is_planned=row.state_at(at) == WindowState.PLANNED,
            starts_at=row.starts_at,
            ends_at=row.effective_end,
        )
        for row in rows
    )
