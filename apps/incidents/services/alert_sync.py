"""The alerts of incidents: membership, suppression and state, kept in step with verdicts."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F

from apps.alerts.choices import AlertState, EndReason
from apps.alerts.models import Alert
from apps.core.messages import Message
from apps.incidents.choices import EntryKind
from apps.incidents.models import Incident, IncidentAlert, TimelineEntry
from apps.incidents.rca.snapshot import Symptom
from apps.incidents.rca.suppression import Suppression
from apps.incidents.rca.verdict import Problem
from apps.topology.graph import Graph


def sync_alerts(
    problems: Sequence[tuple[Incident, Problem]], *, graph: Graph, at: datetime
) -> None:
    """Update the alerts of incidents from their problems; new and recovered ones get a timeline entry each.

    Pending alerts are part of the verdict but not stored here: they may be gone before this commits. The number of
    statements does not grow with that of incidents.
    """
    fired = [
        (incident, symptom, {row.alert_id: row for row in problem.suppressed})
        for incident, problem in problems
        for symptom in problem.symptoms
        if symptom.fired_at
    ]
    if not fired:
        return
    known = IncidentAlert.objects.filter(alert_id__in=[row.alert_id for _, row, _ in fired])
    rows = {row.alert_id: row for row in known}
    entries: list[TimelineEntry] = []
    new_rows, changed = [], []
    reasons = _end_reasons(symptom for _, symptom, _ in fired)
    for incident, symptom, suppressions in fired:
        row = rows.get(symptom.alert_id)
        former_state = row.state if row else ""
        row = row or IncidentAlert(alert_id=symptom.alert_id)
        before = _content(row)
        _describe(row, incident, symptom, graph)
        _set_suppression(row, suppressions.get(symptom.alert_id))
        reason = reasons.get(symptom.alert_id, "")
        entries += _entries(incident, symptom, former_state, reason, at)
        if symptom.alert_id not in rows:
            new_rows.append(row)
        elif _content(row) != before:
            changed.append(row)
    IncidentAlert.objects.bulk_create(new_rows)
    if changed:
        IncidentAlert.objects.bulk_update(changed, _FIELDS)
    TimelineEntry.objects.bulk_create(entries)


def sync_remaining_alerts(*, incident_ids: Collection[UUID], at: datetime) -> None:
    """Update incident alerts that are in no verdict from the state of their alert; recovered ones get an entry.

    A verdict that splits continues with the larger part only, a later episode replaces an earlier one, and an alert
    that recovered long ago is in no verdict. Idempotent.
    """
    rows = IncidentAlert.objects.filter(incident__in=incident_ids).exclude(state=F("alert__state"))
    stale = list(rows.select_related("incident", "alert").order_by("pk"))
    entries: list[TimelineEntry] = []
    for row in stale:
        row.state = row.alert.state
        if row.state == AlertState.OK:
            ended_at = row.alert.clear_since or row.alert.recovered_at or at
            entries.append(
                _end(
                    row.incident,
                    row.summary_message,
                    row.alert.end_reason,
                    ended_at,
                    row.alert_id,
                )
            )
    if stale:
        IncidentAlert.objects.bulk_update(stale, ["state"])
    TimelineEntry.objects.bulk_create(entries)


_FIELDS = [
    "incident",
    "kind",
    "entity_type",
    "entity_id",
    "entity_name",
    "device_name",
    "severity",
    "summary_message",
    "state",
    "since",
    "is_suppressed",
    "suppressed_by_type",
    "suppressed_by_id",
    "suppressed_reason",
    "suppressed_since",
]


def _content(row: IncidentAlert) -> dict[str, Any]:
    return {name: getattr(row, "incident_id" if name == "incident" else name) for name in _FIELDS}


def _describe(row: IncidentAlert, incident: Incident, symptom: Symptom, graph: Graph) -> None:
    row.incident_id = incident.id
    row.kind, row.state = symptom.kind, symptom.state
    row.entity_type, row.entity_id = symptom.ref
    if not row.entity_name or graph.knows(symptom.ref):  # what was removed keeps its last name
        row.entity_name = graph.label_of(symptom.ref)[:200]
        row.device_name = _device_name(symptom, graph)
    row.severity, row.since = symptom.severity, symptom.since
    row.summary_message = symptom.summary


def _device_name(symptom: Symptom, graph: Graph) -> str:
    device_id: UUID | None = graph.device_of(symptom.ref)
    device = graph.device_by_id.get(device_id) if device_id else None
    return device.name[:200] if device else ""


def _set_suppression(row: IncidentAlert, suppression: Suppression | None) -> None:
    row.is_suppressed = suppression is not None
    row.suppressed_by_type = suppression.by[0] if suppression else ""
    row.suppressed_by_id = suppression.by[1] if suppression else None
    row.suppressed_reason = suppression.reason if suppression else None
    row.suppressed_since = suppression.since if suppression else None


def _end_reasons(symptoms: Iterable[Symptom]) -> dict[UUID, str]:
    """Why those that are over ended."""
    over = [row.alert_id for row in symptoms if row.state == AlertState.OK]
    if not over:
        return {}
    return dict(Alert.objects.filter(pk__in=over).values_list("pk", "end_reason"))


def _entries(
    incident: Incident, symptom: Symptom, former_state: str, reason: str, at: datetime
) -> list[TimelineEntry]:
    entries = []
    if not former_state:
        fired_at = symptom.fired_at or at
        entries.append(
            _entry(incident, EntryKind.ALERT, symptom.summary, fired_at, symptom.alert_id)
        )
    if symptom.state == AlertState.OK and former_state != AlertState.OK:
        ended_at = symptom.clear_since or at
        entries.append(_end(incident, symptom.summary, reason, ended_at, symptom.alert_id))
    return entries


#: What the timeline says of an alert that ended without recovering, by its reason.
_ENDED: Mapping[str, str] = {
    EndReason.REMOVED: "incidents.timeline.alert_removed",
    EndReason.DISABLED: "incidents.timeline.alert_disabled",
    EndReason.OUT_OF_SCOPE: "incidents.timeline.alert_out_of_scope",
    EndReason.RULE_DISABLED: "incidents.timeline.alert_rule_disabled",
    EndReason.NO_DATA: "incidents.timeline.alert_no_data",
}


def _end(
    incident: Incident, summary: Message, reason: str, at: datetime, alert_id: UUID
) -> TimelineEntry:
    code = _ENDED.get(reason, "incidents.timeline.alert_cleared")
    message = Message(code, {"alert": summary})
    return _entry(incident, EntryKind.RECOVERY, message, at, alert_id)


def _entry(
    incident: Incident, kind: EntryKind, message: Message, at: datetime, alert_id: UUID
) -> TimelineEntry:
    return TimelineEntry(
        incident=incident, at=at, kind=kind, message=message, detail={"alert": str(alert_id)}
    )
