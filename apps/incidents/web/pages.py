"""What the two pages show, gathered before any template runs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.incidents import selectors
from apps.incidents.choices import IncidentStatus
from apps.incidents.limits import is_whole
from apps.incidents.models import Incident, IncidentAlert, TimelineEntry
from apps.incidents.web.blast import numbered
from apps.incidents.web.order import NEWEST, OFFERED, Place, after, in_order, place_of
from apps.pages.durations import format_duration
from apps.pages.ordering import SORT, Ordering
from apps.pages.params import query_string
from apps.pages.states import SEVERITIES

PAGE_SIZE = 50
TAPE_WIDTH = 240
ALL = "all"


@dataclass(frozen=True)
class QueueRow:
    """One line of the queue."""

    id: UUID
    number: int
    title: str
    severity: str
    is_open: bool
    cause: str
    confidence: float | None
    sites: int
    devices: int
    subscribers: int | None
    suppressed: int
    started_at: datetime
    #: How long it has lasted, or lasted.
    format_duration: str
    acked_by: str
    assigned_to: str
    can_acknowledge: bool
    is_flapping: bool
    in_maintenance: bool


OWNERS = ("", "nobody", "me")


@dataclass(frozen=True)
class QueueFilter:
    """What the address asks for."""

    status: str = IncidentStatus.OPEN
    severity: str = ""
    owner: str = ""
    words: str = ""
    order: Ordering = NEWEST

    def asked(self) -> dict[str, str]:
        """As the address says it."""
        return {
            "status": "" if self.status == IncidentStatus.OPEN else self.status,
            "severity": self.severity,
            "owner": self.owner,
            "q": self.words,
            SORT: "" if self.order == NEWEST else str(self.order),
        }


@dataclass(frozen=True)
class View:
    """A filter with a name."""

    label: str
    query: str
    is_chosen: bool


@dataclass(frozen=True)
class QueuePage:
    """The work queue, in one filter."""

    filter: QueueFilter
    views: tuple[View, ...]
    severities: tuple[tuple[str, str], ...]
    owners: tuple[tuple[str, str], ...]
    orders: tuple[tuple[str, str], ...]
    rows: tuple[QueueRow, ...]
    total: int
    total_open: int
    last_closed_at: datetime | None
    #: The filter and its order, without a place.
    query: str
    next_query: str
    may_act: bool


def queue_page(
    access: Access,
    asked: QueueFilter,
    *,
    place: Place | None = None,
    at: datetime,
    most: int = PAGE_SIZE,
) -> QueuePage:
    """Incidents of one filter in its order, after a place in it. Four queries."""
    visible = selectors.visible_incidents(access)
    chosen = chosen_incidents(access, asked)
    later = after(chosen, asked.order, place) if place else chosen
    rows = list(later[: most + 1])
    last = visible.filter(status=IncidentStatus.CLOSED).order_by("-ended_at").first()
    may_act = access.may(Permission.INCIDENTS_ACT)
    has_more = len(rows) > most
    following = {**asked.asked(), "after": str(place_of(rows[most - 1])) if has_more else ""}
    return QueuePage(
        filter=asked,
        views=_views(asked),
        severities=(("", _("Any severity")), *((k, str(v.word)) for k, v in SEVERITIES.items())),
        owners=(("", _("Any owner")), ("nobody", _("Nobody's")), ("me", _("Mine"))),
        orders=tuple((str(order), str(word)) for order, word in OFFERED),
        rows=tuple(_queue_row(row, may_act=may_act, at=at) for row in rows[:most]),
        total=chosen.count(),
        total_open=selectors.open_incident_count(access),
        last_closed_at=last.ended_at if last else None,
        query=query_string(asked.asked()),
        next_query=query_string(following) if has_more else "",
        may_act=may_act,
    )


def chosen_incidents(access: Access, asked: QueueFilter) -> QuerySet[Incident]:
    """The incidents of one filter, in its order."""
    return in_order(_chosen(access, selectors.visible_incidents(access), asked), asked.order)


def _chosen(access: Access, rows: QuerySet[Incident], asked: QueueFilter) -> QuerySet[Incident]:
    if asked.status != ALL:
        rows = rows.filter(status=asked.status)
    if asked.severity:
        rows = rows.filter(severity=asked.severity)
    if asked.owner == "nobody":
        rows = rows.filter(acked_at=None, assigned_user_id=None)
    elif asked.owner == "me":
        mine = Q(assigned_user_id=access.user.pk) | Q(acked_by=access.actor.label)
        rows = rows.filter(mine)
    return selectors.called(access, rows, asked.words) if asked.words else rows


def _views(asked: QueueFilter) -> tuple[View, ...]:
    """The filters that a shift uses most."""
    named = (
        (_("Open"), QueueFilter()),
        (_("Wait for an owner"), QueueFilter(owner="nobody")),
        (_("Mine"), QueueFilter(owner="me")),
        (_("Critical"), QueueFilter(severity="critical")),
        (_("Closed"), QueueFilter(status=IncidentStatus.CLOSED)),
        (_("All"), QueueFilter(status=ALL)),
    )
    kept = ((label, replace(view, order=asked.order)) for label, view in named)
    return tuple(View(label, query_string(view.asked()), view == asked) for label, view in kept)


def _queue_row(row: Incident, *, may_act: bool, at: datetime) -> QueueRow:
    return QueueRow(
        id=row.id,
        number=row.number,
        title=row.shown_title,
        severity=row.severity,
        is_open=row.is_open,
        cause=row.shown_root_name,
        confidence=row.confidence,
        sites=row.sites_affected,
        devices=row.devices_affected,
        subscribers=row.subscribers_affected,
        suppressed=row.suppressed_count,
        started_at=row.started_at,
        format_duration=format_duration(row.started_at, row.ended_at or at),
        acked_by=row.acked_by,
        assigned_to=row.assigned_to,
        can_acknowledge=may_act and row.is_open and row.acked_at is None,
        is_flapping=row.is_flapping,
        in_maintenance=row.in_maintenance,
    )


@dataclass(frozen=True)
class CauseBox:
    name: str
    confidence: float
    percent: int
    tape_width: int
    is_primary: bool
    summary: str


@dataclass(frozen=True)
class EvidenceLine:
    text: str
    source: str
    at: datetime | None


@dataclass(frozen=True)
class StoryLine:
    """One line of the timeline; ``number`` is its flag on the chart."""

    at: datetime
    text: str
    kind: str
    word: str
    number: int | None


@dataclass(frozen=True)
class AffectedItem:
    name: str
    what: str
    why: str


@dataclass(frozen=True)
class AffectedGroup:
    """Consequences on one router."""

    name: str
    items: tuple[AffectedItem, ...]


@dataclass(frozen=True)
class ImpactBox:
    subscribers: int | None
    sites: int
    devices: int
    services: int


@dataclass(frozen=True)
class DetailPage:
    """One incident, whole."""

    id: UUID
    number: int
    title: str
    severity: str
    is_open: bool
    acked_by: str
    started_at: datetime
    #: How long it has lasted, or lasted.
    format_duration: str
    can_act: bool
    can_acknowledge: bool
    is_flapping: bool
    #: The announced work that covers it, and whether that holds back what is told.
    maintenance: str
    is_held: bool
    impact: ImpactBox
    causes: tuple[CauseBox, ...]
    expected_signs: str
    evidence_for: tuple[EvidenceLine, ...]
    evidence_against: tuple[EvidenceLine, ...]
    timeline: tuple[StoryLine, ...]
    assigned_to: str
    assigned_id: UUID | None
    roots: tuple[AffectedItem, ...]
    suppressed_groups: tuple[AffectedGroup, ...]
    suppressed_count: int
    #: Else a part of it, its causes and its story are outside what a limited member may see.
    is_whole: bool


#: A page shows so many alerts and lines; the whole is in the API.
MOST_SHOWN = 300


def detail_page(access: Access, incident: Incident, *, at: datetime) -> DetailPage:
    """Three queries, whatever the incident's size; two more for a limited member."""
    whole = is_whole(access, incident)
    causes = selectors.trouble_of(incident)["causes"] if whole else []
    alerts = list(selectors.visible_alerts_of(access, incident)[:MOST_SHOWN])
    story = selectors.timeline_of(incident).order_by("-at", "-pk")[:MOST_SHOWN]
    timeline = list(story) if whole else []
    may_act = access.may(Permission.INCIDENTS_ACT)
    signs = [sign for cause in causes for sign in cause["signs"]]
    return DetailPage(
        id=incident.id,
        number=incident.number,
        title=incident.shown_title,
        severity=incident.severity,
        is_open=incident.is_open,
        acked_by=incident.acked_by,
        started_at=incident.started_at,
        format_duration=format_duration(incident.started_at, incident.ended_at or at),
        can_act=may_act,
        can_acknowledge=may_act and incident.is_open and incident.acked_at is None,
        is_flapping=incident.is_flapping,
        maintenance=incident.maintenance_title if incident.in_maintenance else "",
        is_held=incident.is_held,
        impact=ImpactBox(
            subscribers=incident.subscribers_affected,
            sites=incident.sites_affected,
            devices=incident.devices_affected,
            services=incident.services_affected,
        ),
        causes=tuple(_cause(cause) for cause in causes),
        expected_signs=_expected(alerts),
        evidence_for=tuple(_evidence(sign) for sign in _unique(signs) if sign["for"]),
        evidence_against=(
            *(_evidence(sign) for sign in _unique(signs) if not sign["for"]),
            *(_rival(rival) for cause in causes for rival in cause["rivals"]),
        ),
        timeline=_story(timeline),
        assigned_to=incident.assigned_to,
        assigned_id=incident.assigned_user_id,
        roots=tuple(_affected(row, "") for row in alerts if not row.is_suppressed),
        suppressed_groups=_groups(row for row in alerts if row.is_suppressed),
        suppressed_count=incident.suppressed_count,
        is_whole=whole,
    )


def _story(entries: list[TimelineEntry]) -> tuple[StoryLine, ...]:
    numbers = numbered(entries)
    return tuple(
        StoryLine(row.at, row.text, row.kind, row.get_kind_display(), numbers.get(row.id))
        for row in entries
    )


def _cause(cause: dict[str, Any]) -> CauseBox:
    return CauseBox(
        name=cause["name"],
        confidence=cause["confidence"],
        percent=round(cause["confidence"] * 100),
        tape_width=round(cause["confidence"] * TAPE_WIDTH),
        is_primary=cause["classification"] == "primary",
        summary=cause["summary"],
    )


def _unique(signs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A symptom that needs two causes speaks once."""
    seen = {(sign["for"], sign["code"], sign["entity_id"]): sign for sign in reversed(list(signs))}
    return sorted(seen.values(), key=lambda sign: (sign["at"], sign["text"]))


_SOURCES = {
    "unreachable": "probe",
    "itself_answers": "probe",
    "answers_behind": "probe",
    "agent_missing": "heartbeat",
}


def _evidence(sign: dict[str, Any]) -> EvidenceLine:
    source = _SOURCES.get(sign["code"], "RouterOS API")
    return EvidenceLine(sign["text"], source, datetime.fromisoformat(sign["at"]))


def _rival(rival: dict[str, Any]) -> EvidenceLine:
    text = _("%(name)s alone would explain the same (%(share).2f)") % rival
    return EvidenceLine(text, "", None)


def _expected(alerts: list[IncidentAlert]) -> str:
    fired = sum(1 for row in alerts if row.state != "pending")
    text = ngettext(
        "%(fired)d of %(n)d sign has fired", "%(fired)d of %(n)d signs have fired", len(alerts)
    )
    return text % {"fired": fired, "n": len(alerts)}


_WHAT = {
    "interface_down": _lazy("port down"),
    "adjacency_down": _lazy("adjacency lost"),
    "bgp_down": _lazy("session lost"),
    "unreachable": _lazy("unreachable"),
    "management_plane": _lazy("API silent"),
    "agent_missing": _lazy("silent"),
    "sessions_lost": _lazy("sessions lost"),
}


def _affected(row: IncidentAlert, why: str) -> AffectedItem:
    what = str(_WHAT.get(row.kind, row.kind))
    return AffectedItem(row.entity_name, what, why or _("Sign of the cause itself"))


def _groups(rows: Iterable[IncidentAlert]) -> tuple[AffectedGroup, ...]:
    return tuple(
        AffectedGroup(
            name or _("Elsewhere"),
            tuple(_affected(row, row.held_because) for row in group),
        )
        for name, group in groupby(rows, key=lambda row: row.device_name)
    )
