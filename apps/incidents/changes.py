"""What a verdict changes about an incident: planned from what is known, written by ``services.apply``. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from apps.alerts.choices import Severity
from apps.core.messages import Message
from apps.incidents.choices import EntryKind, IncidentStatus, Resolution
from apps.incidents.rca.snapshot import Snapshot
from apps.incidents.rca.verdict import Problem, digest_of
from apps.maintenance.coverage import ActiveWindow

if TYPE_CHECKING:
    from apps.incidents.models import Incident, TimelineEntry

OPENED, UPDATED = "incident.opened", "incident.updated"
ACKED, CLOSED = "incident.acked", "incident.closed"
#: Alerts that still fire this long after others recovered are no recovery in progress.
RECOVERS_WITHIN = timedelta(minutes=5)
#: The longest time that an alert is held for related ones before an incident opens.
HOLD = timedelta(seconds=10)
#: The hold when the cause is already clear.
SHORT_HOLD = timedelta(seconds=5)
SHORT_HOLD_CONFIDENCE = 0.5
#: An incident that was reopened this often is flapping.
FLAPPING_AFTER = 2
#: When one of these changes, receivers are notified.
_PUBLISHED = (
    *("severity", "root_type", "root_id"),
    *("sites_affected", "devices_affected", "services_affected", "subscribers_affected"),
)


@dataclass(frozen=True)
class Finding:
    """A problem of the present verdict, with what the snapshot says of it beside."""

    problem: Problem
    at: datetime
    #: Sessions behind the causes before it began; None: never counted.
    subscribers: int | None
    #: The maintenance window that covers every cause.
    window: ActiveWindow | None = None
    #: Every window that is active.
    active_windows: frozenset[UUID] = frozenset()
    #: The failure is ending: less and less of it is visible, so that its description must stay.
    is_recovering: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """The content of a revision."""
        return {**self.problem.as_document(), "subscribers": self.subscribers}


@dataclass(frozen=True)
class Changes:
    """Everything that changes about one incident at once."""

    #: Fields of the incident that change.
    values: Mapping[str, Any] = field(default_factory=dict)
    #: The content of a new revision.
    document: Mapping[str, Any] | None = None
    #: Timeline entries beside those of its alerts.
    entries: tuple[tuple[EntryKind, Message], ...] = ()
    #: Operators' notes that it takes over, with their time and author.
    notes: tuple["TimelineEntry", ...] = ()
    #: The event that receivers get, unless maintenance suppresses it.
    event: str = ""
    #: The action in the audit log.
    action: str = ""


def plan_changes(
    incident: "Incident | None", finding: Finding, previous: Mapping[str, Any] | None
) -> Changes:
    """Open an incident for a problem (there is none yet), reopen a closed one, or bring an open one up to date.

    ``previous`` is the content of the incident's newest revision.
    """
    if incident is None:
        return _opened(finding)
    if not incident.is_open:
        return _reopened(incident, finding)
    return _updated(incident, finding, previous)


def plan_merge(into: UUID, number: int, at: datetime) -> Changes:
    """It turned out to be a part of the incident with this number."""
    message = Message("incidents.timeline.merged", {"number": number})
    return _closed(Resolution.MERGED, at, message, merged_into_id=into)


def plan_absorption(
    incident: "Incident", absorbed: "Incident", notes: tuple["TimelineEntry", ...]
) -> Changes:
    """What the incident that continues takes over from one that is merged into it: whatever people did there."""
    values: dict[str, Any] = {}
    if incident.acked_at is None and absorbed.acked_at is not None:
        values |= {"acked_by": absorbed.acked_by, "acked_at": absorbed.acked_at}
    if incident.assigned_user_id is None and absorbed.assigned_user_id is not None:
        values |= {
            "assigned_to": absorbed.assigned_to,
            "assigned_user_id": absorbed.assigned_user_id,
        }
    entries = [
        (EntryKind.VERDICT, Message("incidents.timeline.joined", {"number": absorbed.number}))
    ]
    if "acked_by" in values:
        message = Message("incidents.timeline.acknowledged", {"user": values["acked_by"]})
        entries.append((EntryKind.ACKNOWLEDGED, message))
    if "assigned_to" in values:
        message = Message("incidents.timeline.assigned", {"user": values["assigned_to"]})
        entries.append((EntryKind.ASSIGNED, message))
    return Changes(
        values,
        entries=tuple(entries),
        notes=notes,
        event=ACKED if "acked_by" in values else "",
        action="incident.joined",
    )


def plan_end(at: datetime, *, has_recovered: bool) -> Changes:
    """None of its alerts is open any more: they have recovered, or nothing that they were about is monitored."""
    if has_recovered:
        return _closed(Resolution.RECOVERED, at, Message("incidents.timeline.recovered"))
    return _closed(Resolution.REMOVED, at, Message("incidents.timeline.removed"))


def is_firing(problem: Problem) -> bool:
    """Whether an alert has fired and not every alert has recovered."""
    is_over = all(row.clear_since for row in problem.symptoms)
    return problem.first_fired_at is not None and not is_over


def is_hold_over(problem: Problem, at: datetime) -> bool:
    """Whether an incident may open for it."""
    if problem.first_fired_at is None:
        return False
    hold = SHORT_HOLD if problem.confidence >= SHORT_HOLD_CONFIDENCE else HOLD
    return at - problem.first_fired_at >= hold


def is_recovering(problem: Problem, alert_ids: frozenset[UUID], snapshot: Snapshot) -> bool:
    """Whether it has begun to recover and no alert has joined since: from then on less and less of the failure is
    visible. ``alert_ids`` are the incident's; those that recovered lately and belong to another problem by now still
    count."""
    own = {row.alert_id for row in problem.symptoms}
    recovered = {
        row: snapshot.recovered_at(row)
        for row in snapshot.symptoms
        if row.alert_id in own or row.alert_id in alert_ids
    }
    recent_after = snapshot.at - RECOVERS_WITHIN
    first = min(
        (at for row, at in recovered.items() if at and (row.alert_id in own or at > recent_after)),
        default=None,
    )
    if first is None:
        return False
    return all(row.since <= first for row, at in recovered.items() if at is None)


def _opened(finding: Finding) -> Changes:
    cause = finding.problem.causes[0]
    message = Message(
        "incidents.timeline.opened", {"cause": cause.name, "confidence": cause.confidence}
    )
    values = {
        "status": IncidentStatus.OPEN,
        "started_at": finding.problem.began_at,
        "opened_at": finding.at,
        **_described(finding),
    }
    values |= _maintenance(finding, values["severity"])
    return Changes(
        values=values,
        document=finding.document,
        entries=((EntryKind.OPENED, message), *_maintenance_entries(None, values)),
        event=OPENED,
        action="incident.opened",
    )


def _reopened(incident: "Incident", finding: Finding) -> Changes:
    values = {
        "status": IncidentStatus.OPEN,
        "resolution": "",
        "ended_at": None,
        "reopened_count": incident.reopened_count + 1,
        **_described(finding),
    }
    values |= _maintenance(finding, values["severity"])
    is_flapping = values["has_flapping"] or values["reopened_count"] >= FLAPPING_AFTER
    message = Message("incidents.timeline.reopened")
    if is_flapping:
        message = Message("incidents.timeline.reopened_flapping")
    return Changes(
        values=values,
        document=finding.document,
        entries=((EntryKind.OPENED, message), *_maintenance_entries(None, values)),
        event=UPDATED,
        action="incident.reopened",
    )


def _updated(incident: "Incident", finding: Finding, previous: Mapping[str, Any] | None) -> Changes:
    values: dict[str, Any] = {"started_at": min(incident.started_at, finding.problem.began_at)}
    document = None
    if not finding.is_recovering:
        values |= _described(finding)
        if previous is None or _significant(finding.document) != _significant(previous):
            document = finding.document
    # A verdict that fluctuates during recovery does not end maintenance either.
    if not finding.is_recovering or incident.maintenance_id not in finding.active_windows:
        values |= _maintenance(finding, values.get("severity", incident.severity))
    changed = {name: value for name, value in values.items() if getattr(incident, name) != value}
    entries = _maintenance_entries(incident.maintenance_id, values)
    if {"root_type", "root_id"} & changed.keys():
        params = {"cause": values["root_name"], "former": incident.root_name}
        entries += ((EntryKind.VERDICT, Message("incidents.timeline.cause_changed", params)),)
    was_released = (
        incident.notifications_suppressed and changed.get("notifications_suppressed") is False
    )
    is_published = was_released or not changed.keys().isdisjoint(_PUBLISHED)
    return Changes(changed, document, entries, event=UPDATED if is_published else "")


def _closed(resolution: Resolution, at: datetime, message: Message, **values: UUID) -> Changes:
    return Changes(
        values={
            "status": IncidentStatus.CLOSED,
            "resolution": resolution,
            "ended_at": at,
            **values,
        },
        entries=((EntryKind.CLOSED, message),),
        event=CLOSED,
        action="incident.closed",
    )


def _described(finding: Finding) -> dict[str, Any]:
    """The fields that lists show, from the verdict."""
    problem = finding.problem
    cause, impact = problem.causes[0], problem.impact
    fired = {row.alert_id for row in problem.symptoms if row.fired_at}
    return {
        "severity": problem.severity,
        "title": problem.title.english[:200],
        "title_message": problem.title,
        "root_type": cause.ref[0],
        "root_id": cause.ref[1],
        "root_name": cause.name[:200],
        "confidence": cause.confidence,
        "sites_affected": len(impact.site_ids),
        "devices_affected": len(impact.device_ids),
        "services_affected": len(impact.service_ids),
        "subscribers_affected": finding.subscribers,
        "has_flapping": any(row.is_flapping for row in problem.symptoms),
        "suppressed_count": sum(row.alert_id in fired for row in problem.suppressed),
    }


def _maintenance(finding: Finding, severity: str) -> dict[str, Any]:
    """The covering window, and whether it suppresses notifications."""
    window = finding.window
    bypasses = window is not None and window.notify_critical and severity == Severity.CRITICAL
    return {
        "maintenance_id": window.id if window else None,
        "maintenance_title": window.title if window else "",
        "notifications_suppressed": window is not None and not bypasses,
    }


def _maintenance_entries(
    before: UUID | None, values: Mapping[str, Any]
) -> tuple[tuple[EntryKind, Message], ...]:
    if "maintenance_id" not in values or values["maintenance_id"] == before:
        return ()
    if values["maintenance_id"] is None:
        message = Message("incidents.timeline.maintenance_ended")
    elif values["notifications_suppressed"]:
        message = Message("incidents.timeline.maintenance", {"window": values["maintenance_title"]})
    else:
        message = Message(
            "incidents.timeline.maintenance_critical", {"window": values["maintenance_title"]}
        )
    return ((EntryKind.MAINTENANCE, message),)


def _significant(document: Mapping[str, Any]) -> str:
    """Digest of the content that justifies a new revision: without times of repeated samples."""
    causes = [
        {
            **{name: cause[name] for name in ("entity_type", "entity_id", "classification")},
            "evidence": sorted(
                {(s["supports"], s["code"], s["entity_id"]) for s in cause["evidence"]}
            ),
        }
        for cause in document["causes"]
    ]
    names = ("severity", "alerts", "impact", "subscribers")
    suppressed = {row["alert_id"]: row["reason"] for row in document["suppressed"]}
    return digest_of(
        {**{name: document[name] for name in names}, "causes": causes, "suppressed": suppressed}
    )
