"""Context of the list and detail pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from agent.collectors.registry import facts_of
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core.messages import Message
from apps.incidents import selectors
from apps.incidents.choices import IncidentStatus
from apps.incidents.limits import is_fully_visible
from apps.incidents.lists import ALL, INCIDENTS, MINE, UNASSIGNED
from apps.incidents.models import Incident, IncidentAlert, TimelineEntry
from apps.incidents.web.impact import annotation_numbers
from apps.incidents.web.ordering import (
    SORT_OPTIONS,
    Cursor,
    after,
    cursor_of,
)
from apps.inventory.device_entities import collectors_of_entities
from apps.pages.durations import format_duration
from apps.pages.lists import ListParams
from apps.pages.ordering import SORT
from apps.pages.params import query_string
from apps.pages.states import SEVERITIES

PAGE_SIZE = 50
BAR_WIDTH = 240


@dataclass(frozen=True)
class QueueRow:
    """One row of the list."""

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
    #: Duration so far, or of a closed incident.
    duration: str
    acked_by: str
    assigned_to: str
    can_acknowledge: bool
    is_flapping: bool
    in_maintenance: bool


@dataclass(frozen=True)
class View:
    """A named filter."""

    label: str
    query: str
    is_chosen: bool


@dataclass(frozen=True)
class QueuePage:
    """One page of the list."""

    filter: ListParams
    views: tuple[View, ...]
    severities: tuple[tuple[str, str], ...]
    owners: tuple[tuple[str, str], ...]
    orders: tuple[tuple[str, str], ...]
    rows: tuple[QueueRow, ...]
    total: int
    total_open: int
    last_closed_at: datetime | None
    #: The filter and its sort order, without a cursor.
    query: str
    next_query: str
    may_act: bool


def queue_page(
    access: Access,
    params: ListParams,
    *,
    cursor: Cursor | None = None,
    at: datetime,
    most: int = PAGE_SIZE,
) -> QueuePage:
    """Incidents of one filter in its sort order, after a cursor. Four queries."""
    visible = Incident.objects.visible_to(access)
    rows_in_filter = filtered_incidents(access, params)
    later = after(rows_in_filter, params.order, cursor) if cursor else rows_in_filter
    rows = list(later[: most + 1])
    last = visible.filter(status=IncidentStatus.CLOSED).order_by("-ended_at").first()
    may_act = access.may(Permission.INCIDENTS_ACT)
    has_more = len(rows) > most
    following = {
        **params.params(),
        "after": str(cursor_of(rows[most - 1], params.order)) if has_more else "",
    }
    return QueuePage(
        filter=params,
        views=_views(params),
        severities=(("", _("Any severity")), *((k, str(v.word)) for k, v in SEVERITIES.items())),
        owners=(("", _("Any owner")), ("nobody", _("Unassigned")), ("me", _("Assigned to me"))),
        orders=tuple((str(order), str(word)) for order, word in SORT_OPTIONS),
        rows=tuple(_queue_row(row, may_act=may_act, at=at) for row in rows[:most]),
        total=rows_in_filter.count(),
        total_open=selectors.open_incident_count(access),
        last_closed_at=last.ended_at if last else None,
        query=query_string(params.params()),
        next_query=query_string(following) if has_more else "",
        may_act=may_act,
    )


def filtered_incidents(access: Access, params: ListParams) -> QuerySet[Incident]:
    """The incidents of one filter, in its order."""
    visible = Incident.objects.visible_to(access)
    return INCIDENTS.sorted(INCIDENTS.narrowed(visible, params.values, access), params.order)


def _views(params: ListParams) -> tuple[View, ...]:
    """The most used filters."""
    named: tuple[tuple[str, dict[str, str]], ...] = (
        (_("Open"), {}),
        (_("Unassigned"), {"owner": UNASSIGNED}),
        (_("Assigned to me"), {"owner": MINE}),
        (_("Critical"), {"severity": "critical"}),
        (_("Closed"), {"status": IncidentStatus.CLOSED.value}),
        (_("All"), {"status": ALL}),
    )
    sort = str(params.order)
    sorted_views = ((label, INCIDENTS.page_params({**texts, SORT: sort})) for label, texts in named)
    return tuple(
        View(label, query_string(view.params()), view == params) for label, view in sorted_views
    )


def _queue_row(row: Incident, *, may_act: bool, at: datetime) -> QueueRow:
    return QueueRow(
        id=row.id,
        number=row.number,
        title=row.display_title,
        severity=row.severity,
        is_open=row.is_open,
        cause=row.display_root_name,
        confidence=row.confidence,
        sites=row.sites_affected,
        devices=row.devices_affected,
        subscribers=row.subscribers_affected,
        suppressed=row.suppressed_count,
        started_at=row.started_at,
        duration=format_duration(row.started_at, row.ended_at or at),
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
    bar_width: int
    is_primary: bool
    summary: str


@dataclass(frozen=True)
class EvidenceLine:
    text: str
    source: str
    at: datetime | None


@dataclass(frozen=True)
class TimelineLine:
    """One timeline entry; ``number`` is its annotation on the chart."""

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
class DetailPage:
    """The detail page of one incident."""

    incident: Incident
    #: Duration so far, or of a closed incident.
    duration: str
    can_act: bool
    can_acknowledge: bool
    #: The maintenance window that covers it.
    maintenance: str
    causes: tuple[CauseBox, ...]
    fired_count: str
    evidence_for: tuple[EvidenceLine, ...]
    evidence_against: tuple[EvidenceLine, ...]
    timeline: tuple[TimelineLine, ...]
    roots: tuple[AffectedItem, ...]
    suppressed_groups: tuple[AffectedGroup, ...]
    #: Otherwise its causes and timeline are outside the member's grants.
    is_fully_visible: bool


#: Alerts and timeline entries on the page; the API has all of them.
MAX_SHOWN = 300


def detail_page(access: Access, incident: Incident, *, at: datetime) -> DetailPage:
    """Four queries, whatever the incident's size; two more for a limited member."""
    whole = is_fully_visible(access, incident)
    causes = selectors.problem_of(incident)["causes"] if whole else []
    alerts = list(selectors.visible_alerts_of(access, incident)[:MAX_SHOWN])
    newest = selectors.timeline_of(incident).order_by("-at", "-pk")[:MAX_SHOWN]
    timeline = list(newest) if whole else []
    may_act = access.may(Permission.INCIDENTS_ACT)
    evidence = _evidence(sign for cause in causes for sign in cause["evidence"])
    return DetailPage(
        incident=incident,
        duration=format_duration(incident.started_at, incident.ended_at or at),
        can_act=may_act,
        can_acknowledge=may_act and incident.is_open and incident.acked_at is None,
        maintenance=incident.maintenance_title if incident.in_maintenance else "",
        causes=tuple(_cause(cause) for cause in causes),
        fired_count=_fired_count(alerts),
        evidence_for=tuple(line for supports, line in evidence if supports),
        evidence_against=(
            *(line for supports, line in evidence if not supports),
            *(
                _alternative(alternative)
                for cause in causes
                for alternative in cause["alternatives"]
            ),
        ),
        timeline=_timeline(timeline),
        roots=tuple(_affected(row, "") for row in alerts if not row.is_suppressed),
        suppressed_groups=_groups(row for row in alerts if row.is_suppressed),
        is_fully_visible=whole,
    )


def _timeline(entries: list[TimelineEntry]) -> tuple[TimelineLine, ...]:
    numbers = annotation_numbers(entries)
    return tuple(
        TimelineLine(row.at, row.text, row.kind, row.get_kind_display(), numbers.get(row.id))
        for row in entries
    )


def _cause(cause: dict[str, Any]) -> CauseBox:
    return CauseBox(
        name=cause["name"],
        confidence=cause["confidence"],
        percent=round(cause["confidence"] * 100),
        bar_width=round(cause["confidence"] * BAR_WIDTH),
        is_primary=cause["classification"] == "primary",
        summary=str(Message.from_document(cause["summary"])),
    )


def _unique(evidence: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Evidence without duplicates: a symptom of two causes is shown once."""
    unique = {
        (sign["supports"], sign["code"], sign["entity_id"]): sign
        for sign in reversed(list(evidence))
    }
    return sorted(unique.values(), key=lambda sign: (sign["at"], sign["entity_id"], sign["code"]))


_SOURCES = {
    "unreachable": "probe",
    "itself_answers": "probe",
    "answers_behind": "probe",
    "agent_missing": "heartbeat",
}


def _evidence(evidence: Iterable[dict[str, Any]]) -> list[tuple[bool, EvidenceLine]]:
    """Whether each sign supports the cause, and its line. One query if a sign came from a collector."""
    signs = _unique(evidence)
    polled = {UUID(sign["entity_id"]) for sign in signs if sign["code"] not in _SOURCES}
    collectors = collectors_of_entities(polled) if polled else {}
    lines = []
    for sign in signs:
        collector = collectors.get(UUID(sign["entity_id"]), "")  # none: its device was deleted
        source = _SOURCES.get(sign["code"]) or _(facts_of(collector).source_label)
        text = str(Message.from_document(sign["message"]))
        lines.append(
            (sign["supports"], EvidenceLine(text, source, datetime.fromisoformat(sign["at"])))
        )
    return lines


def _alternative(alternative: dict[str, Any]) -> EvidenceLine:
    params = {"name": alternative["name"], "share": alternative["share"]}
    return EvidenceLine(str(Message("incidents.evidence.alternative", params)), "", None)


def _fired_count(alerts: list[IncidentAlert]) -> str:
    fired = sum(1 for row in alerts if row.state != "pending")
    text = ngettext(
        "%(fired)d of %(n)d alert has fired", "%(fired)d of %(n)d alerts have fired", len(alerts)
    )
    return text % {"fired": fired, "n": len(alerts)}


_KIND_LABELS = {
    "interface_down": _lazy("port down"),
    "adjacency_down": _lazy("adjacency lost"),
    "bgp_down": _lazy("session lost"),
    "unreachable": _lazy("unreachable"),
    "management_plane": _lazy("API not responding"),
    "agent_missing": _lazy("offline"),
    "sessions_lost": _lazy("sessions lost"),
}


def _affected(row: IncidentAlert, why: str) -> AffectedItem:
    what = str(_KIND_LABELS.get(row.kind, row.kind))
    return AffectedItem(row.entity_name, what, why or _("Root-cause alert"))


def _groups(rows: Iterable[IncidentAlert]) -> tuple[AffectedGroup, ...]:
    return tuple(
        AffectedGroup(
            name or _("Other"),
            tuple(_affected(row, row.suppression_reason) for row in group),
        )
        for name, group in groupby(rows, key=lambda row: row.device_name)
    )
