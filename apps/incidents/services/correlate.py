"""From alerts to incidents: one look at the whole tenant, one transaction."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from apps.events import due, jobs
from apps.incidents.choices import IncidentStatus, Resolution
from apps.incidents.models import Incident, IncidentAlert
from apps.incidents.rca.matching import Known, match
from apps.incidents.rca.verdict import Trouble, reach_verdict
from apps.incidents.services.chapters import Chapter
from apps.incidents.services.snapshots import take_snapshot
from apps.maintenance.selectors import active_windows
from apps.tenancy import acting_in

CORRELATE = "incidents.correlate"
LOOK_AGAIN = timedelta(seconds=2)
#: The longest that an alert waits for others before somebody is told.
HOLD = timedelta(seconds=10)
#: The wait when the pattern already names its cause.
SHORT_HOLD = timedelta(seconds=5)
SURE_ENOUGH = 0.5
#: The same cause again within this time is the same incident again.
REOPEN_WITHIN = timedelta(minutes=5)


def wake(*, tenant_id: UUID, at: datetime) -> None:
    """Have the tenant looked at as soon as the caller's transaction has committed."""
    due.schedule(CORRELATE, at=at, tenant_id=tenant_id)
    jobs.enqueue(CORRELATE, tenant_id=str(tenant_id))


def correlate_tenant(*, tenant_id: UUID, at: datetime) -> None:
    """Open, continue, merge and close the tenant's incidents as the verdict of this moment has it.

    Idempotent: the same alerts again change nothing. Looks again by itself while anything is open.
    Locks: one correlation at a time per tenant (advisory, with the transaction); a second one leaves at once, its
    work stays due.
    """
    with acting_in(tenant_id):
        if not _try_lock(tenant_id):
            return
        # First: whoever schedules from here on waits for this transaction and is not forgotten.
        due.finish(CORRELATE, tenant_id=tenant_id)
        if _correlate(at):
            due.schedule(CORRELATE, at=at + LOOK_AGAIN, tenant_id=tenant_id)


def _try_lock(tenant_id: UUID) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"correlate:{tenant_id}"]
        )
        return bool(cursor.fetchone()[0])


def _correlate(at: datetime) -> bool:
    """Returns whether there is anything to look at again."""
    snapshot = take_snapshot(at)
    known = _known_incidents()
    if not snapshot.symptoms and not known:
        return False
    verdict = reach_verdict(snapshot)
    fate = match(verdict.troubles, known)
    chapter = Chapter(snapshot, verdict, at, active_windows(at))
    for index, incident in sorted(fate.continued.items(), key=lambda row: row[1].number):
        chapter.carry_on(incident, verdict.troubles[index])
    for incident_id, into in sorted(fate.merged.items(), key=lambda row: str(row[0])):
        chapter.merge(incident_id, into.id)
    chapter.close_the_recovered(known)
    told = _told_already(verdict.troubles, fate.new)
    for index in fate.new:
        trouble = verdict.troubles[index]
        if index in told or not _has_fired(trouble):
            continue
        former = _closed_lately(trouble, at)
        if former is not None:
            chapter.reopen(former, trouble)
        elif _is_ripe(trouble, at):
            chapter.open(trouble)
    return True


def _closed_lately(trouble: Trouble, at: datetime) -> UUID | None:
    """The incident of the same cause that recovered a moment ago. A router that was down and now misses a supply is
    not the same again: one of the signs has to be."""
    root_type, root_id = trouble.root
    signs = {(row.kind, *row.ref) for row in trouble.symptoms}
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
    return next((incident_id for incident_id, *sign in rows if tuple(sign) in signs), None)


def _has_fired(trouble: Trouble) -> bool:
    """Whether there is anything to tell at all, and it is not over already."""
    is_over = all(row.clear_since for row in trouble.symptoms)
    return trouble.first_fired_at is not None and not is_over


def _known_incidents() -> list[Known]:
    alerts: dict[UUID, set[UUID]] = {}
    rows = IncidentAlert.objects.filter(incident__status=IncidentStatus.OPEN)
    for incident_id, alert_id in rows.values_list("incident_id", "alert_id"):
        alerts.setdefault(incident_id, set()).add(alert_id)
    return [
        Known(
            incident.id,
            incident.number,
            (incident.root_type, incident.root_id),
            frozenset(alerts.get(incident.id, ())),
        )
        for incident in Incident.objects.filter(status=IncidentStatus.OPEN).order_by("number")
    ]


def _is_ripe(trouble: Trouble, at: datetime) -> bool:
    """Whether the hold is over."""
    if trouble.first_fired_at is None:
        return False
    hold = SHORT_HOLD if trouble.confidence >= SURE_ENOUGH else HOLD
    return at - trouble.first_fired_at >= hold


def _told_already(troubles: tuple[Trouble, ...], new: tuple[int, ...]) -> set[int]:
    """Troubles of which every firing alert stands under an incident already: one that a person closed, who said it is
    enough; or an open one, which is not torn apart while its verdict wavers."""
    alert_ids = {row.alert_id for index in new for row in troubles[index].symptoms}
    rows = IncidentAlert.objects.filter(alert_id__in=alert_ids)
    told = set(rows.values_list("alert_id", flat=True))
    return {
        index
        for index in new
        if all(row.alert_id in told for row in troubles[index].symptoms if row.fired_at)
    }
