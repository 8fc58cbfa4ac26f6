"""Correlation of a tenant's alerts into incidents, in one transaction."""

from datetime import datetime, timedelta
from uuid import UUID

from apps.events import due, jobs
from apps.incidents.choices import IncidentStatus, Resolution
from apps.incidents.models import Incident, IncidentAlert
from apps.incidents.rca.matching import OpenIncident, match
from apps.incidents.rca.verdict import Problem, reach_verdict
from apps.incidents.services.incident_writer import IncidentWriter
from apps.incidents.services.snapshots import take_snapshot
from apps.maintenance.selectors import active_windows
from apps.tenancy import acting_in
from apps.tenancy.locks import TenantLock, try_lock

CORRELATE = "incidents.correlate"
RECHECK_AFTER = timedelta(seconds=2)
#: The longest time that an alert is held for related ones before an incident opens.
HOLD = timedelta(seconds=10)
#: The hold when the cause is already clear.
SHORT_HOLD = timedelta(seconds=5)
SHORT_HOLD_CONFIDENCE = 0.5
#: The same cause again within this time reopens the incident.
REOPEN_WITHIN = timedelta(minutes=5)


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
    known = _known_incidents()
    if not snapshot.symptoms and not known:
        return False
    verdict = reach_verdict(snapshot)
    matches = match(verdict.problems, known)
    writer = IncidentWriter(snapshot, verdict, at, active_windows(at))
    for index, incident in sorted(matches.continued.items(), key=lambda row: row[1].number):
        writer.update(incident, verdict.problems[index])
    for incident_id, into in sorted(matches.merged.items(), key=lambda row: str(row[0])):
        writer.merge(incident_id, into.id)
    writer.close_recovered(known)
    reported = _already_reported(verdict.problems, matches.new)
    for index in matches.new:
        problem = verdict.problems[index]
        if index in reported or not _has_fired(problem):
            continue
        former = _recently_closed(problem, at)
        if former is not None:
            writer.reopen(former, problem)
        elif _is_hold_over(problem, at):
            writer.open(problem)
    return True


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


def _has_fired(problem: Problem) -> bool:
    """Whether an alert has fired and not every alert has recovered."""
    is_over = all(row.clear_since for row in problem.symptoms)
    return problem.first_fired_at is not None and not is_over


def _known_incidents() -> list[OpenIncident]:
    alerts: dict[UUID, set[UUID]] = {}
    rows = IncidentAlert.objects.filter(incident__status=IncidentStatus.OPEN)
    for incident_id, alert_id in rows.values_list("incident_id", "alert_id"):
        alerts.setdefault(incident_id, set()).add(alert_id)
    return [
        OpenIncident(
            incident.id,
            incident.number,
            (incident.root_type, incident.root_id),
            frozenset(alerts.get(incident.id, ())),
        )
        for incident in Incident.objects.filter(status=IncidentStatus.OPEN).order_by("number")
    ]


def _is_hold_over(problem: Problem, at: datetime) -> bool:
    """Whether the hold before opening is over."""
    if problem.first_fired_at is None:
        return False
    hold = SHORT_HOLD if problem.confidence >= SHORT_HOLD_CONFIDENCE else HOLD
    return at - problem.first_fired_at >= hold


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
