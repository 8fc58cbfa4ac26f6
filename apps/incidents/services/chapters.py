"""Writing a verdict into incidents: what opened, what changed, what is over, each with its line on the timeline."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import F, Max

from apps.alerts.choices import AlertState, Severity
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.incidents.choices import EntryKind, IncidentStatus, Resolution
from apps.incidents.models import Incident, IncidentAlert, Revision, StoredSnapshot, TimelineEntry
from apps.incidents.rca.impact import subscribers
from apps.incidents.rca.matching import Known
from apps.incidents.rca.snapshot import Snapshot
from apps.incidents.rca.verdict import Trouble, Verdict, digest_of
from apps.incidents.services.covering import window_over
from apps.incidents.services.membership import settle_alerts, settle_the_unspoken
from apps.incidents.services.snapshots import keep_snapshot
from apps.incidents.services.telling import CLOSED, OPENED, UPDATED, tell
from apps.incidents.services.timeline import add_entry
from apps.maintenance.coverage import ActiveWindow
from apps.telemetry import queries

CORRELATION = Actor.system("correlation")
SESSIONS = "pppoe.sessions.active"
#: A flapping incident closes only when it has been quiet for so long.
FLAPPING_QUIET = timedelta(seconds=60)
#: What is still wrong so long after other parts were mended is no recovery any more, but how things are.
RECOVERS_WITHIN = timedelta(minutes=5)


class Chapter:
    """One verdict, being written down inside one transaction."""

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
    def _stored(self) -> StoredSnapshot:
        """The snapshot is kept only if a revision is made of it."""
        return keep_snapshot(self._snapshot, self._verdict)

    def open(self, trouble: Trouble) -> None:
        """A new incident."""
        last = Incident.objects.aggregate(last=Max("number"))["last"] or 0
        incident = Incident(
            number=last + 1,
            status=IncidentStatus.OPEN,
            started_at=trouble.began_at,
            opened_at=self._at,
        )
        self._describe(incident, trouble)
        self._cover(incident, trouble)
        incident.save(force_insert=True)
        self._write_revision(incident, self._document(trouble))
        settle_alerts(incident=incident, trouble=trouble, graph=self._snapshot.graph, at=self._at)
        cause = trouble.causes[0]
        add_entry(
            incident=incident,
            kind=EntryKind.OPENED,
            text=f"Opened: {cause.name}, confidence {cause.confidence:.2f}",
            at=self._at,
            actor=CORRELATION,
        )
        self._note_cover(incident, None)
        tell(OPENED, incident)
        self._audit("incident.opened", incident)

    def reopen(self, incident_id: UUID, trouble: Trouble) -> None:
        """The same cause again, soon after it had recovered: the same incident, not a new one."""
        incident = Incident.objects.select_for_update().get(pk=incident_id)
        incident.status, incident.resolution, incident.ended_at = IncidentStatus.OPEN, "", None
        incident.reopened_count += 1
        self._describe(incident, trouble)
        self._cover(incident, trouble)
        incident.save()
        self._write_revision(incident, self._document(trouble))
        settle_alerts(incident=incident, trouble=trouble, graph=self._snapshot.graph, at=self._at)
        text = "Reopened: it is flapping" if incident.is_flapping else "Reopened: it is back"
        add_entry(
            incident=incident, kind=EntryKind.OPENED, text=text, at=self._at, actor=CORRELATION
        )
        self._note_cover(incident, None)
        tell(UPDATED, incident)
        self._audit("incident.reopened", incident)

    def carry_on(self, known: Known, trouble: Trouble) -> None:
        """An open incident under a new verdict. Tells the world only what it must know again."""
        incident = Incident.objects.select_for_update().get(pk=known.id)
        before = _told(incident)
        cover, was_held = incident.maintenance_id, incident.is_held
        former = (incident.root_type, incident.root_id, incident.root_name)
        # What was already said of who is hit stays while things recover: the count is of the outage, not of now.
        is_recovering = _is_recovering(trouble, known, self._snapshot)
        if not is_recovering:
            self._describe(incident, trouble)
            document = self._document(trouble)
            if digest_of(_essence(document)) != self._essence_of(incident):
                self._write_revision(incident, document)
        incident.started_at = min(incident.started_at, trouble.began_at)
        # Nor does a verdict that wavers meanwhile take it out of its window.
        if not is_recovering or cover not in {window.id for window in self._windows}:
            self._cover(incident, trouble)
        incident.save()
        self._note_cover(incident, cover)
        settle_alerts(incident=incident, trouble=trouble, graph=self._snapshot.graph, at=self._at)
        if former[:2] != (incident.root_type, incident.root_id):
            text = f"Cause is now {incident.root_name}; it was {former[2]}"
            add_entry(
                incident=incident,
                kind=EntryKind.VERDICT,
                text=text,
                at=self._at,
                actor=CORRELATION,
            )
        is_let_go = was_held and not incident.is_held
        if is_let_go or _told(incident) != before:
            tell(UPDATED, incident)

    def merge(self, incident_id: UUID, into_id: UUID) -> None:
        """An incident that turned out to be part of another one."""
        incident = Incident.objects.select_for_update().get(pk=incident_id)
        incident.merged_into_id = into_id
        IncidentAlert.objects.filter(incident=incident).update(incident_id=into_id)
        number = Incident.objects.values_list("number", flat=True).get(pk=into_id)
        self._close(incident, Resolution.MERGED, self._at, f"Part of INC-{number}")

    def close_the_recovered(self, known: list[Known]) -> None:
        """End every incident under which no alert is open any more, be it in this verdict or not."""
        incident_ids = [row.id for row in known]
        settle_the_unspoken(incident_ids=incident_ids, at=self._at)
        still_open = set(
            IncidentAlert.objects.filter(incident__in=incident_ids)
            .exclude(state=AlertState.OK)
            .values_list("incident_id", flat=True)
        )
        over = [row.id for row in known if row.id not in still_open]
        rows = Incident.objects.select_for_update().filter(pk__in=over, status=IncidentStatus.OPEN)
        for incident in rows.order_by("number"):
            if not incident.keeps_coming_back or self._is_quiet(incident):
                self._close(incident, Resolution.RECOVERED, self._at, "Every alert has recovered")

    def _is_quiet(self, incident: Incident) -> bool:
        """Whether nothing has happened for as long as a flapping incident has to stay quiet."""
        last = TimelineEntry.objects.filter(
            incident=incident, kind__in=[EntryKind.ALERT, EntryKind.RECOVERY]
        ).aggregate(last=Max("at"))["last"]
        return last is None or self._at - last >= FLAPPING_QUIET

    def _close(
        self, incident: Incident, resolution: Resolution, ended_at: datetime, text: str
    ) -> None:
        incident.status, incident.resolution = IncidentStatus.CLOSED, resolution
        incident.ended_at = ended_at
        incident.save()
        add_entry(
            incident=incident, kind=EntryKind.CLOSED, text=text, at=self._at, actor=CORRELATION
        )
        tell(CLOSED, incident)
        self._audit("incident.closed", incident)

    def _cover(self, incident: Incident, trouble: Trouble) -> None:
        """Whether announced work covers it, and whether that holds back what is told."""
        window = window_over(self._snapshot.graph, trouble, self._windows)
        incident.maintenance_id = window.id if window else None
        incident.maintenance_title = window.title if window else ""
        is_let_through = (
            window is not None and window.notify_critical and incident.severity == Severity.CRITICAL
        )
        incident.is_held = window is not None and not is_let_through

    def _note_cover(self, incident: Incident, before: UUID | None) -> None:
        if incident.maintenance_id == before:
            return
        if incident.maintenance_id is None:
            text = "Maintenance no longer covers its causes: from now on it is told"
        elif incident.is_held:
            text = f"In maintenance ({incident.maintenance_title}): nobody is told"
        else:
            text = f"In maintenance ({incident.maintenance_title}), and critical: told all the same"
        add_entry(
            incident=incident,
            kind=EntryKind.MAINTENANCE,
            text=text,
            at=self._at,
            actor=CORRELATION,
        )

    def _describe(self, incident: Incident, trouble: Trouble) -> None:
        cause, impact = trouble.causes[0], trouble.impact
        incident.severity, incident.title = trouble.severity, trouble.title
        incident.root_type, incident.root_id = cause.ref
        incident.root_name, incident.confidence = cause.name[:200], cause.confidence
        incident.sites_affected = len(impact.site_ids)
        incident.devices_affected = len(impact.device_ids)
        incident.services_affected = len(impact.service_ids)
        incident.subscribers_affected = self._subscribers(trouble)
        fired = {row.alert_id for row in trouble.symptoms if row.fired_at}
        incident.has_flapping = any(row.is_flapping for row in trouble.symptoms)
        incident.suppressed_count = sum(row.alert_id in fired for row in trouble.suppressed)

    def _subscribers(self, trouble: Trouble) -> int | None:
        if not trouble.impact.service_ids:
            return 0
        levels = queries.last_good_levels(metric=SESSIONS, before=trouble.began_at)
        return subscribers(trouble.impact, levels)

    def _document(self, trouble: Trouble) -> dict[str, Any]:
        return {**trouble.as_document(), "subscribers": self._subscribers(trouble)}

    def _essence_of(self, incident: Incident) -> str:
        row = Revision.objects.filter(incident=incident, number=incident.revision).get()
        return digest_of(_essence(row.trouble))

    def _write_revision(self, incident: Incident, document: dict[str, Any]) -> None:
        Incident.objects.filter(pk=incident.pk).update(revision=F("revision") + 1)
        incident.refresh_from_db(fields=["revision"])
        Revision.objects.create(
            incident=incident,
            number=incident.revision,
            at=self._at,
            snapshot=self._stored,
            trouble=document,
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


def _is_recovering(trouble: Trouble, known: Known, snapshot: Snapshot) -> bool:
    """Whether it has begun to recover and nothing new has joined it since: from then on less and less of the failure
    can be seen. What was mended lately and is another trouble by now was part of it all the same."""
    own = {row.alert_id for row in trouble.symptoms}
    mended = {
        row: snapshot.mended_at(row)
        for row in snapshot.symptoms
        if row.alert_id in own or row.alert_id in known.alert_ids
    }
    lately = snapshot.at - RECOVERS_WITHIN
    first = min(
        (at for row, at in mended.items() if at and (row.alert_id in own or at > lately)),
        default=None,
    )
    if first is None:
        return False
    return all(row.since <= first for row, at in mended.items() if at is None)


def _told(incident: Incident) -> tuple[object, ...]:
    """What receivers have been told: when this changes, they are told again."""
    return (
        incident.severity,
        incident.root_type,
        incident.root_id,
        incident.sites_affected,
        incident.devices_affected,
        incident.services_affected,
        incident.subscribers_affected,
    )


def _essence(document: dict[str, Any]) -> dict[str, Any]:
    """What a new revision is worth writing for: not the clock of a reading that came again."""
    causes = [
        {
            **{name: cause[name] for name in ("entity_type", "entity_id", "classification")},
            "signs": sorted({(s["for"], s["code"], s["entity_id"]) for s in cause["signs"]}),
        }
        for cause in document["causes"]
    ]
    names = ("severity", "alerts", "impact", "subscribers")
    suppressed = sorted((row["alert_id"], row["reason"]) for row in document["suppressed"])
    return {**{name: document[name] for name in names}, "causes": causes, "suppressed": suppressed}
