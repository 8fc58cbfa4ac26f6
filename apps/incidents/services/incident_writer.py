"""Writes a verdict into incidents: opens, updates, merges and closes them, with timeline entries and events."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import F, Max

from apps.alerts.choices import AlertState, Severity
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.core.messages import Message
from apps.incidents.choices import EntryKind, IncidentStatus, Resolution
from apps.incidents.models import Incident, IncidentAlert, Revision, StoredSnapshot, TimelineEntry
from apps.incidents.rca.impact import subscribers
from apps.incidents.rca.matching import OpenIncident
from apps.incidents.rca.snapshot import Snapshot
from apps.incidents.rca.verdict import Problem, Verdict, digest_of
from apps.incidents.services.alert_sync import sync_alerts, sync_remaining_alerts
from apps.incidents.services.maintenance_scope import maintenance_scope
from apps.incidents.services.publishing import CLOSED, OPENED, UPDATED, publish
from apps.incidents.services.snapshots import store_snapshot
from apps.incidents.services.timeline import add_entry
from apps.maintenance.coverage import ActiveWindow
from apps.telemetry import queries

CORRELATION = Actor.system("correlation")
SESSIONS = "pppoe.sessions.active"
#: A flapping incident closes only after this time without alerts or recoveries.
FLAPPING_QUIET = timedelta(seconds=60)
#: Alerts that still fire this long after others recovered are no recovery in progress.
RECOVERS_WITHIN = timedelta(minutes=5)


class IncidentWriter:
    """Writes one verdict inside one transaction."""

    def __init__(
        self,
        snapshot: Snapshot,
        verdict: Verdict,
        at: datetime,
        windows: Sequence[ActiveWindow] = (),
    ) -> None:
        self._windows = windows
        self._snapshot = snapshot
        self._verdict = verdict
        self._at = at

    @cached_property
    def _stored_snapshot(self) -> StoredSnapshot:
        """The snapshot is stored only if a revision references it."""
        return store_snapshot(self._snapshot, self._verdict)

    def open(self, problem: Problem) -> None:
        """Create an incident."""
        last = Incident.objects.aggregate(last=Max("number"))["last"] or 0
        incident = Incident(
            number=last + 1,
            status=IncidentStatus.OPEN,
            started_at=problem.began_at,
            opened_at=self._at,
        )
        self._describe(incident, problem)
        self._apply_maintenance(incident, problem)
        incident.save(force_insert=True)
        self._write_revision(incident, self._document(problem))
        sync_alerts(incident=incident, problem=problem, graph=self._snapshot.graph, at=self._at)
        cause = problem.causes[0]
        add_entry(
            incident=incident,
            kind=EntryKind.OPENED,
            message=Message(
                "incidents.timeline.opened", {"cause": cause.name, "confidence": cause.confidence}
            ),
            at=self._at,
            actor=CORRELATION,
        )
        self._log_maintenance(incident, None)
        publish(OPENED, incident)
        self._audit("incident.opened", incident)

    def reopen(self, incident_id: UUID, problem: Problem) -> None:
        """Reopen an incident whose cause came back soon after it had recovered."""
        incident = Incident.objects.select_for_update().get(pk=incident_id)
        incident.status, incident.resolution, incident.ended_at = IncidentStatus.OPEN, "", None
        incident.reopened_count += 1
        self._describe(incident, problem)
        self._apply_maintenance(incident, problem)
        incident.save()
        self._write_revision(incident, self._document(problem))
        sync_alerts(incident=incident, problem=problem, graph=self._snapshot.graph, at=self._at)
        message = Message("incidents.timeline.reopened")
        if incident.is_flapping:
            message = Message("incidents.timeline.reopened_flapping")
        add_entry(
            incident=incident,
            kind=EntryKind.OPENED,
            message=message,
            at=self._at,
            actor=CORRELATION,
        )
        self._log_maintenance(incident, None)
        publish(UPDATED, incident)
        self._audit("incident.reopened", incident)

    def update(self, known: OpenIncident, problem: Problem) -> None:
        """Update an open incident from a new verdict. Publishes an event only for changes that receivers need."""
        incident = Incident.objects.select_for_update().get(pk=known.id)
        before = _published_values(incident)
        maintenance_before, was_suppressed = (
            incident.maintenance_id,
            incident.notifications_suppressed,
        )
        former = (incident.root_type, incident.root_id, incident.root_name)
        # During recovery the impact stays: the counts describe the outage, not the current state.
        is_recovering = _is_recovering(problem, known, self._snapshot)
        if not is_recovering:
            self._describe(incident, problem)
            document = self._document(problem)
            if digest_of(_significant(document)) != self._significant_digest_of(incident):
                self._write_revision(incident, document)
        incident.started_at = min(incident.started_at, problem.began_at)
        # A verdict that fluctuates during recovery does not end maintenance either.
        if not is_recovering or maintenance_before not in {window.id for window in self._windows}:
            self._apply_maintenance(incident, problem)
        incident.save()
        self._log_maintenance(incident, maintenance_before)
        sync_alerts(incident=incident, problem=problem, graph=self._snapshot.graph, at=self._at)
        if former[:2] != (incident.root_type, incident.root_id):
            params = {"cause": incident.root_name, "former": former[2]}
            add_entry(
                incident=incident,
                kind=EntryKind.VERDICT,
                message=Message("incidents.timeline.cause_changed", params),
                at=self._at,
                actor=CORRELATION,
            )
        was_released = was_suppressed and not incident.notifications_suppressed
        if was_released or _published_values(incident) != before:
            publish(UPDATED, incident)

    def merge(self, incident_id: UUID, into_id: UUID) -> None:
        """Merge an incident into another one."""
        incident = Incident.objects.select_for_update().get(pk=incident_id)
        incident.merged_into_id = into_id
        IncidentAlert.objects.filter(incident=incident).update(incident_id=into_id)
        number = Incident.objects.values_list("number", flat=True).get(pk=into_id)
        message = Message("incidents.timeline.merged", {"number": number})
        self._close(incident, Resolution.MERGED, self._at, message)

    def close_recovered(self, known: list[OpenIncident]) -> None:
        """Close every incident without open alerts, whether or not it is in this verdict."""
        incident_ids = [row.id for row in known]
        sync_remaining_alerts(incident_ids=incident_ids, at=self._at)
        still_open = set(
            IncidentAlert.objects.filter(incident__in=incident_ids)
            .exclude(state=AlertState.OK)
            .values_list("incident_id", flat=True)
        )
        recovered = [row.id for row in known if row.id not in still_open]
        rows = Incident.objects.select_for_update().filter(
            pk__in=recovered, status=IncidentStatus.OPEN
        )
        for incident in rows.order_by("number"):
            if not incident.reopens_often or self._is_quiet(incident):
                message = Message("incidents.timeline.recovered")
                self._close(incident, Resolution.RECOVERED, self._at, message)

    def _is_quiet(self, incident: Incident) -> bool:
        """Whether a flapping incident had no alert or recovery for FLAPPING_QUIET."""
        last = TimelineEntry.objects.filter(
            incident=incident, kind__in=[EntryKind.ALERT, EntryKind.RECOVERY]
        ).aggregate(last=Max("at"))["last"]
        return last is None or self._at - last >= FLAPPING_QUIET

    def _close(
        self, incident: Incident, resolution: Resolution, ended_at: datetime, message: Message
    ) -> None:
        incident.status, incident.resolution = IncidentStatus.CLOSED, resolution
        incident.ended_at = ended_at
        incident.save()
        add_entry(
            incident=incident,
            kind=EntryKind.CLOSED,
            message=message,
            at=self._at,
            actor=CORRELATION,
        )
        publish(CLOSED, incident)
        self._audit("incident.closed", incident)

    def _apply_maintenance(self, incident: Incident, problem: Problem) -> None:
        """Set the covering maintenance window, and whether it suppresses notifications."""
        window = maintenance_scope(self._snapshot.graph, problem, self._windows)
        incident.maintenance_id = window.id if window else None
        incident.maintenance_title = window.title if window else ""
        bypasses_maintenance = (
            window is not None and window.notify_critical and incident.severity == Severity.CRITICAL
        )
        incident.notifications_suppressed = window is not None and not bypasses_maintenance

    def _log_maintenance(self, incident: Incident, before: UUID | None) -> None:
        if incident.maintenance_id == before:
            return
        if incident.maintenance_id is None:
            message = Message("incidents.timeline.maintenance_ended")
        elif incident.notifications_suppressed:
            message = Message(
                "incidents.timeline.maintenance", {"window": incident.maintenance_title}
            )
        else:
            message = Message(
                "incidents.timeline.maintenance_critical", {"window": incident.maintenance_title}
            )
        add_entry(
            incident=incident,
            kind=EntryKind.MAINTENANCE,
            message=message,
            at=self._at,
            actor=CORRELATION,
        )

    def _describe(self, incident: Incident, problem: Problem) -> None:
        cause, impact = problem.causes[0], problem.impact
        incident.severity, incident.title_message = problem.severity, problem.title
        incident.title = problem.title.english[:200]
        incident.root_type, incident.root_id = cause.ref
        incident.root_name, incident.confidence = cause.name[:200], cause.confidence
        incident.sites_affected = len(impact.site_ids)
        incident.devices_affected = len(impact.device_ids)
        incident.services_affected = len(impact.service_ids)
        incident.subscribers_affected = self._subscribers(problem)
        fired = {row.alert_id for row in problem.symptoms if row.fired_at}
        incident.has_flapping = any(row.is_flapping for row in problem.symptoms)
        incident.suppressed_count = sum(row.alert_id in fired for row in problem.suppressed)

    def _subscribers(self, problem: Problem) -> int | None:
        if not problem.impact.service_ids:
            return 0
        levels = queries.last_values_at_least(metric=SESSIONS, before=problem.began_at)
        return subscribers(problem.impact, levels)

    def _document(self, problem: Problem) -> dict[str, Any]:
        return {**problem.as_document(), "subscribers": self._subscribers(problem)}

    def _significant_digest_of(self, incident: Incident) -> str:
        row = Revision.objects.filter(incident=incident, number=incident.revision).get()
        return digest_of(_significant(row.problem))

    def _write_revision(self, incident: Incident, document: dict[str, Any]) -> None:
        Incident.objects.filter(pk=incident.pk).update(revision=F("revision") + 1)
        incident.refresh_from_db(fields=["revision"])
        Revision.objects.create(
            incident=incident,
            number=incident.revision,
            at=self._at,
            snapshot=self._stored_snapshot,
            problem=document,
            digest=digest_of(document),
        )

    def _audit(self, action: str, incident: Incident) -> None:
        record(
            action=action,
            actor=CORRELATION,
            entity=("incident", incident.id),
            at=self._at,
            detail={"number": incident.number, "root": incident.root_name},
        )


def _is_recovering(problem: Problem, known: OpenIncident, snapshot: Snapshot) -> bool:
    """Whether it has begun to recover and no alert has joined since: from then on less and less of the failure is
    visible. Alerts that recovered lately and belong to another problem by now still count."""
    own = {row.alert_id for row in problem.symptoms}
    recovered = {
        row: snapshot.recovered_at(row)
        for row in snapshot.symptoms
        if row.alert_id in own or row.alert_id in known.alert_ids
    }
    recent_after = snapshot.at - RECOVERS_WITHIN
    first = min(
        (at for row, at in recovered.items() if at and (row.alert_id in own or at > recent_after)),
        default=None,
    )
    if first is None:
        return False
    return all(row.since <= first for row, at in recovered.items() if at is None)


def _published_values(incident: Incident) -> tuple[object, ...]:
    """The published values: when they change, an update is published."""
    return (
        incident.severity,
        incident.root_type,
        incident.root_id,
        incident.sites_affected,
        incident.devices_affected,
        incident.services_affected,
        incident.subscribers_affected,
    )


def _significant(document: dict[str, Any]) -> dict[str, Any]:
    """The content that justifies a new revision: without times of repeated samples."""
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
    return {**{name: document[name] for name in names}, "causes": causes, "suppressed": suppressed}
