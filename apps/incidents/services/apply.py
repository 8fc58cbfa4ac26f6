"""The one place that writes what a verdict changes: rows, revisions, alerts, timeline, events and audit."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from apps.audit.services import PendingRecord, record_all
from apps.authorization.actors import Actor
from apps.events import outbox
from apps.incidents.changes import Changes
from apps.incidents.models import Incident, Revision, StoredSnapshot, TimelineEntry
from apps.incidents.rca.snapshot import Snapshot
from apps.incidents.rca.verdict import Problem, Verdict, digest_of
from apps.incidents.services.alert_sync import sync_alerts
from apps.incidents.services.publishing import (
    EVENT_FIELDS,
    current_problem,
    next_event,
    snapshot_of,
)
from apps.incidents.services.snapshots import store_snapshot

CORRELATION = Actor.system("correlation")


@dataclass(frozen=True)
class Planned:
    """The changes of one incident, a locked or a new row, and the problem that its alerts follow."""

    incident: Incident
    changes: Changes
    problem: Problem | None = None


class ChangeWriter:
    """Writes changes that follow from one verdict, in the transaction that read the snapshot: ``apply`` as often as
    needed, ``write_audit`` last."""

    def __init__(self, snapshot: Snapshot, verdict: Verdict, at: datetime) -> None:
        self._snapshot = snapshot
        self._verdict = verdict
        self._at = at
        self._records: list[PendingRecord] = []

    def apply(self, planned: Iterable[Planned]) -> None:
        """Write them all except the audit records."""
        rows = list(planned)
        events = [self._write_incident(row) for row in rows]
        self._write_revisions(rows)
        problems = [(row.incident, row.problem) for row in rows if row.problem is not None]
        sync_alerts(problems, graph=self._snapshot.graph, at=self._at)
        self._write_entries(rows)
        _emit(zip(rows, events, strict=True))
        self._records += self._audited(rows)

    def write_audit(self) -> None:
        """Write the audit records of everything that was applied: this locks the chain until commit."""
        if self._records:
            record_all(self._records)

    def _write_incident(self, row: Planned) -> str | None:
        """Returns the type of the event to emit, if any."""
        incident, values = row.incident, dict(row.changes.values)
        is_new = incident.revision == 0
        if row.changes.document is not None:
            values["revision"] = incident.revision + 1
        for name, value in values.items():
            setattr(incident, name, value)
        event = next_event(row.changes.event, incident) if row.changes.event else None
        if is_new:
            incident.save(force_insert=True)
        elif values or event:
            incident.save(update_fields=[*values, *(EVENT_FIELDS if event else ())])
        return event

    def _write_revisions(self, rows: list[Planned]) -> None:
        Revision.objects.bulk_create(
            Revision(
                incident=row.incident,
                number=row.incident.revision,
                at=self._at,
                snapshot=self._stored_snapshot,
                problem=row.changes.document,
                digest=digest_of(row.changes.document),
            )
            for row in rows
            if row.changes.document is not None
        )

    @cached_property
    def _stored_snapshot(self) -> StoredSnapshot:
        """The snapshot is stored only if a revision references it."""
        return store_snapshot(self._snapshot, self._verdict)

    def _write_entries(self, rows: list[Planned]) -> None:
        own = [
            TimelineEntry(
                incident=row.incident,
                at=self._at,
                kind=kind,
                message=message,
                actor=CORRELATION.as_dict(),
            )
            for row in rows
            for kind, message in row.changes.entries
        ]
        taken_over = [
            TimelineEntry(
                incident=row.incident, at=note.at, kind=note.kind, note=note.note, actor=note.actor
            )
            for row in rows
            for note in row.changes.notes
        ]
        TimelineEntry.objects.bulk_create([*own, *taken_over])

    def _audited(self, rows: list[Planned]) -> list[PendingRecord]:
        return [
            PendingRecord(
                action=row.changes.action,
                actor=CORRELATION,
                entity=("incident", row.incident.id),
                at=self._at,
                detail={"number": row.incident.number, "root": row.incident.root_name},
            )
            for row in rows
            if row.changes.action
        ]


def _emit(rows: Iterable[tuple[Planned, str | None]]) -> None:
    by_topic: dict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    for row, topic in rows:
        if topic is not None:
            problem = row.changes.document or current_problem(row.incident)
            by_topic[topic].append((str(row.incident.id), snapshot_of(row.incident, problem)))
    for topic, events in by_topic.items():
        outbox.emit_many(topic=topic, events=events)
