"""Which alerts stand under an incident, which of them are held back, and what became of each."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F

from apps.alerts.choices import AlertState
from apps.incidents.choices import EntryKind
from apps.incidents.models import Incident, IncidentAlert, TimelineEntry
from apps.incidents.rca.snapshot import Symptom
from apps.incidents.rca.suppression import Suppression
from apps.incidents.rca.verdict import Trouble
from apps.topology.graph import Graph


def settle_alerts(*, incident: Incident, trouble: Trouble, graph: Graph, at: datetime) -> None:
    """Bring an incident's alerts to what the verdict says of them; new and recovered ones get a line each.

    Pending ones have a say in the verdict, but no place here: they may be gone before this commits.
    """
    fired = [symptom for symptom in trouble.symptoms if symptom.fired_at]
    known = IncidentAlert.objects.filter(alert_id__in=[symptom.alert_id for symptom in fired])
    rows = {row.alert_id: row for row in known}
    held = {row.alert_id: row for row in trouble.suppressed}
    lines: list[TimelineEntry] = []
    fresh, changed = [], []
    for symptom in fired:
        row = rows.get(symptom.alert_id)
        former_state = row.state if row else ""
        row = row or IncidentAlert(alert_id=symptom.alert_id)
        was = _content(row)
        _describe(row, incident, symptom, graph)
        _hold_back(row, held.get(symptom.alert_id))
        lines += _lines(incident, symptom, former_state, at)
        if symptom.alert_id not in rows:
            fresh.append(row)
        elif _content(row) != was:
            changed.append(row)
    IncidentAlert.objects.bulk_create(fresh)
    if changed:
        IncidentAlert.objects.bulk_update(changed, _FIELDS)
    TimelineEntry.objects.bulk_create(lines)


def settle_the_unspoken(*, incident_ids: Collection[UUID], at: datetime) -> None:
    """Bring what no verdict spoke of to how its alert stands by now; what is over gets its line.

    A verdict that splits goes on with the larger part only, a later episode takes an earlier one's place, and what
    recovered long ago is in no verdict at all. Idempotent.
    """
    rows = IncidentAlert.objects.filter(incident__in=incident_ids).exclude(state=F("alert__state"))
    stale = list(rows.select_related("incident", "alert").order_by("pk"))
    lines: list[TimelineEntry] = []
    for row in stale:
        row.state = row.alert.state
        if row.state == AlertState.OK:
            ended_at = row.alert.clear_since or row.alert.recovered_at or at
            lines.append(_over(row.incident, row.summary, ended_at, row.alert_id))
    if stale:
        IncidentAlert.objects.bulk_update(stale, ["state"])
    TimelineEntry.objects.bulk_create(lines)


_FIELDS = [
    "incident",
    "kind",
    "entity_type",
    "entity_id",
    "entity_name",
    "device_name",
    "severity",
    "summary",
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
    row.entity_name = graph.label_of(symptom.ref)[:200]
    row.device_name = _device_name(symptom, graph)
    row.severity, row.summary, row.since = symptom.severity, symptom.summary, symptom.since


def _device_name(symptom: Symptom, graph: Graph) -> str:
    device_id: UUID | None = graph.device_of(symptom.ref)
    device = graph.device_by_id.get(device_id) if device_id else None
    return device.name[:200] if device else ""


def _hold_back(row: IncidentAlert, suppression: Suppression | None) -> None:
    row.is_suppressed = suppression is not None
    row.suppressed_by_type = suppression.by[0] if suppression else ""
    row.suppressed_by_id = suppression.by[1] if suppression else None
    row.suppressed_reason = suppression.reason[:500] if suppression else ""
    row.suppressed_since = suppression.since if suppression else None


def _lines(
    incident: Incident, symptom: Symptom, former_state: str, at: datetime
) -> list[TimelineEntry]:
    found = []
    if not former_state:
        fired_at = symptom.fired_at or at
        found.append(_line(incident, EntryKind.ALERT, symptom.summary, fired_at, symptom.alert_id))
    if symptom.state == AlertState.OK and former_state != AlertState.OK:
        found.append(_over(incident, symptom.summary, symptom.clear_since or at, symptom.alert_id))
    return found


def _over(incident: Incident, summary: str, at: datetime, alert_id: UUID) -> TimelineEntry:
    return _line(incident, EntryKind.RECOVERY, f"Over: {summary}", at, alert_id)


def _line(
    incident: Incident, kind: EntryKind, text: str, at: datetime, alert_id: UUID
) -> TimelineEntry:
    return TimelineEntry(
        incident=incident, at=at, kind=kind, text=text, detail={"alert": str(alert_id)}
    )
