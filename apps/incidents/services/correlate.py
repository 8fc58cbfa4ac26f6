"""Correlation of a tenant's alerts into incidents, in one transaction."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Max

from apps.alerts.choices import AlertState, EndReason
from apps.events import due, jobs
from apps.incidents.changes import (
    is_firing,
    is_hold_over,
    plan_absorption,
    plan_changes,
    plan_end,
    plan_merge,
)
from apps.incidents.choices import EntryKind, IncidentStatus, Resolution
from apps.incidents.models import Incident, IncidentAlert, Revision, TimelineEntry
from apps.incidents.rca.matching import Match, OpenIncident, match
from apps.incidents.rca.verdict import Problem, Verdict, reach_verdict
from apps.incidents.services.alert_sync import sync_remaining_alerts
from apps.incidents.services.apply import ChangeWriter, Planned
from apps.incidents.services.findings import FindingReader
from apps.incidents.services.snapshots import take_snapshot
from apps.tenancy import acting_in
from apps.tenancy.locks import TenantLock, try_lock

CORRELATE = "incidents.correlate"
RECHECK_AFTER = timedelta(seconds=2)
#: The same cause again within this time reopens the incident.
REOPEN_WITHIN = timedelta(minutes=5)
#: A flapping incident closes only after this time without alerts or recoveries.
FLAPPING_QUIET = timedelta(seconds=60)


def wake(*, tenant_id: UUID, at: datetime) -> None:
    """Schedule a correlation as soon as the caller's transaction has committed."""
    due.schedule(CORRELATE, at=at, tenant_id=tenant_id)
    jobs.enqueue(CORRELATE, tenant_id=str(tenant_id))


def correlate_tenant(*, tenant_id: UUID, at: datetime) -> None:
    """Open, update, merge and close the tenant's incidents by the current verdict.

    Idempotent: the same alerts again change nothing. Reschedules itself while anything is open.
    Locks: one correlation at a time per tenant (advisory, with the transaction); a second one returns at once, its
    work stays due.
    """
    with acting_in(tenant_id):
        if not try_lock(TenantLock.CORRELATE):
            return
        # First: a concurrent schedule waits for this transaction and is not lost.
        due.finish(CORRELATE, tenant_id=tenant_id)
        if _correlate(at):
            due.schedule(CORRELATE, at=at + RECHECK_AFTER, tenant_id=tenant_id)


def _correlate(at: datetime) -> bool:
    """Returns whether a recheck is needed."""
    snapshot = take_snapshot(at)
    verdict = reach_verdict(snapshot) if snapshot.symptoms else Verdict(())
    incidents = _lock_open_incidents()
    if not snapshot.symptoms and not incidents:
        return False
    reader = FindingReader(snapshot, at)
    known = _known(incidents.values())
    matches = match(verdict.problems, known)
    writer = ChangeWriter(snapshot, verdict, at)
    writer.apply(_updates(verdict, matches, incidents, reader))
    for merged_id, into in sorted(matches.merged.items(), key=lambda row: str(row[0])):
        _merge(writer, incidents[merged_id], incidents[into.id], at)
    writer.apply(_recoveries(incidents, at))
    writer.apply(_new(verdict, matches, reader, at))
    writer.write_audit()
    return True


def _updates(
    verdict: Verdict, matches: Match, incidents: Mapping[UUID, Incident], reader: FindingReader
) -> Iterator[Planned]:
    """The incidents that continue, oldest first."""
    previous = _problems_of(incidents)
    for index, known in sorted(matches.continued.items(), key=lambda row: row[1].number):
        problem, incident = verdict.problems[index], incidents[known.id]
        finding = reader.read(problem, known)
        changes = plan_changes(incident, finding, previous.get(incident.id))
        yield Planned(incident, changes, problem)


def _merge(writer: ChangeWriter, absorbed: Incident, into: Incident, at: datetime) -> None:
    """The incident that continues takes over its alerts, and what people did."""
    IncidentAlert.objects.filter(incident=absorbed).update(incident=into)
    notes = TimelineEntry.objects.filter(incident=absorbed, kind=EntryKind.NOTE).order_by("at")
    writer.apply(
        [
            Planned(absorbed, plan_merge(into.id, into.number, at)),
            Planned(into, plan_absorption(into, absorbed, tuple(notes))),
        ]
    )


def _recoveries(incidents: Mapping[UUID, Incident], at: datetime) -> Iterator[Planned]:
    """Every incident without open alerts, whether or not it is in this verdict."""
    sync_remaining_alerts(incident_ids=incidents.keys(), at=at)
    alerts = IncidentAlert.objects.filter(incident__in=incidents.keys())
    states: dict[UUID, set[tuple[str, str]]] = defaultdict(set)
    for incident_id, *state in alerts.values_list("incident_id", "state", "alert__end_reason"):
        states[incident_id].add((state[0], state[1]))
    for incident in incidents.values():
        found = states[incident.id]
        is_over = incident.is_open and all(state == AlertState.OK for state, _ in found)
        if is_over and (not incident.reopens_often or _is_quiet(incident, at)):
            reasons = {reason for _, reason in found} - {""}
            has_recovered = not reasons or EndReason.RECOVERED in reasons
            yield Planned(incident, plan_end(at, has_recovered=has_recovered))


def _is_quiet(incident: Incident, at: datetime) -> bool:
    """Whether a flapping incident had no alert or recovery for FLAPPING_QUIET."""
    last = TimelineEntry.objects.filter(
        incident=incident, kind__in=[EntryKind.ALERT, EntryKind.RECOVERY]
    ).aggregate(last=Max("at"))["last"]
    return last is None or at - last >= FLAPPING_QUIET


def _new(
    verdict: Verdict, matches: Match, reader: FindingReader, at: datetime
) -> Iterator[Planned]:
    """The problems without an incident: each reopens the last one of its cause, or opens one after the hold."""
    reported = _already_reported(verdict.problems, matches.new)
    reopened: set[UUID] = set()
    last = Incident.objects.aggregate(last=Max("number"))["last"] or 0
    for index in matches.new:
        problem = verdict.problems[index]
        if index in reported or not is_firing(problem):
            continue
        former = _recently_closed(problem, at)
        if former is not None and former not in reopened:
            reopened.add(former)
            incident = Incident.objects.select_for_update().get(pk=former)
            yield Planned(incident, plan_changes(incident, reader.read(problem), None), problem)
        elif is_hold_over(problem, at):
            last += 1
            yield Planned(
                Incident(number=last), plan_changes(None, reader.read(problem), None), problem
            )


def _recently_closed(problem: Problem, at: datetime) -> UUID | None:
    """The recently recovered incident of the same cause. At least one symptom must be the same: a router that was
    down and now lacks a power supply is another problem."""
    root_type, root_id = problem.root
    symptoms = {(row.kind, *row.ref) for row in problem.symptoms}
    rows = (
        IncidentAlert.objects.filter(
            incident__root_type=root_type,
            incident__root_id=root_id,
            incident__resolution=Resolution.RECOVERED,
            incident__ended_at__gt=at - REOPEN_WITHIN,
        )
        .order_by("-incident__ended_at")
        .values_list("incident_id", "kind", "entity_type", "entity_id")
    )
    return next((incident_id for incident_id, *symptom in rows if tuple(symptom) in symptoms), None)


def _lock_open_incidents() -> dict[UUID, Incident]:
    """The open incidents, by their number; operators' actions on them wait until the pass has ended."""
    rows = Incident.objects.select_for_update().filter(status=IncidentStatus.OPEN)
    return {incident.id: incident for incident in rows.order_by("number")}


def _known(incidents: Collection[Incident]) -> list[OpenIncident]:
    alerts: dict[UUID, set[UUID]] = defaultdict(set)
    rows = IncidentAlert.objects.filter(incident__in=[incident.id for incident in incidents])
    for incident_id, alert_id in rows.values_list("incident_id", "alert_id"):
        alerts[incident_id].add(alert_id)
    return [
        OpenIncident(
            incident.id,
            incident.number,
            (incident.root_type, incident.root_id),
            frozenset(alerts[incident.id]),
        )
        for incident in incidents
    ]


def _problems_of(incidents: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    """The content of each incident's newest revision."""
    newest = Revision.objects.filter(incident__in=incidents, number=F("incident__revision"))
    return dict(newest.values_list("incident_id", "problem"))


def _already_reported(problems: tuple[Problem, ...], new: tuple[int, ...]) -> set[int]:
    """Problems whose firing alerts all belong to an incident already: one that was closed manually, or an open one that
    is not split while its verdict fluctuates."""
    alert_ids = {row.alert_id for index in new for row in problems[index].symptoms}
    rows = IncidentAlert.objects.filter(alert_id__in=alert_ids)
    reported = set(rows.values_list("alert_id", flat=True))
    return {
        index
        for index in new
        if all(row.alert_id in reported for row in problems[index].symptoms if row.fired_at)
    }
