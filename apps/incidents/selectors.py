"""Queries of incidents."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core.errors import NotVisible
from apps.incidents.limits import alerts_within_grant
from apps.incidents.models import Incident, IncidentAlert, Revision, TimelineEntry
from apps.inventory.models import Device, Service, Site


def get_visible_incident(access: Access, incident_id: UUID | str) -> Incident:
    """One of them. Raises NotVisible for foreign and absent alike."""
    incident = Incident.objects.visible_to(access).filter(pk=incident_id).first()
    if incident is None:
        raise NotVisible
    return incident


def open_incident_count(access: Access) -> int:
    return Incident.objects.visible_to(access).open().count()


def incidents_within(
    access: Access, *, start: datetime, end: datetime, most: int = 60
) -> list[Incident]:
    """Incidents that were open at some time in a range: the newest, oldest first. One query."""
    rows = Incident.objects.visible_to(access).filter(
        Q(ended_at=None) | Q(ended_at__gte=start), started_at__lte=end
    )
    return list(reversed(rows.order_by("-started_at", "-pk")[:most]))


def incidents_involving(
    access: Access, entity_ids: Collection[UUID], *, only_open: bool = False, most: int = 20
) -> list[Incident]:
    """Incidents with a cause or an alert on any of these entities, newest first. One query."""
    with_alert = IncidentAlert.objects.filter(entity_id__in=entity_ids).values("incident_id")
    rows = Incident.objects.visible_to(access).filter(
        Q(root_id__in=entity_ids) | Q(pk__in=with_alert)
    )
    if only_open:
        rows = rows.open()
    return list(rows.order_by("-started_at", "-pk")[:most])


@dataclass(frozen=True)
class AlertIncident:
    """The incident of an alert, and why the alert is suppressed, if it is."""

    incident_id: UUID
    number: int
    suppression_reason: str


def incidents_of_alerts(access: Access, alert_ids: Collection[UUID]) -> dict[UUID, AlertIncident]:
    """The incidents of these alerts; absent for an alert without one. Two queries."""
    rows = access.visible(IncidentAlert.objects.all(), Permission.INCIDENTS_VIEW)
    if access.is_limited:
        rows = alerts_within_grant(access, rows)
    found = list(rows.filter(alert_id__in=alert_ids))
    incident_ids = {row.incident_id for row in found}
    numbers = dict(Incident.objects.filter(pk__in=incident_ids).values_list("pk", "number"))
    return {
        row.alert_id: AlertIncident(
            row.incident_id, numbers[row.incident_id], row.suppression_reason
        )
        for row in found
        if row.incident_id in numbers
    }


def suppressed_alerts(access: Access) -> QuerySet[IncidentAlert]:
    """Alerts that are suppressed as consequences."""
    rows = access.visible(IncidentAlert.objects.all(), Permission.INCIDENTS_VIEW)
    return rows.filter(is_suppressed=True)


def incidents_matching(access: Access, words: str, *, most: int) -> list[Incident]:
    """Incidents by number, title or cause, newest first. One query."""
    return list(Incident.objects.visible_to(access).search(words).order_by("-number")[:most])


def problem_of(incident: Incident) -> dict[str, Any]:
    """The problem of the newest revision: causes with evidence, impact, suppressions."""
    revision = Revision.objects.filter(incident=incident, number=incident.revision).first()
    return revision.problem if revision else {"causes": [], "suppressed": [], "impact": {}}


def alerts_of(incident: Incident) -> QuerySet[IncidentAlert]:
    """Its alerts: root-cause alerts first, then consequences by router."""
    return IncidentAlert.objects.filter(incident=incident).order_by(
        "is_suppressed", "device_name", "entity_name", "pk"
    )


def visible_alerts_of(access: Access, incident: Incident) -> QuerySet[IncidentAlert]:
    """Those of them that this member may see."""
    rows = alerts_of(incident)
    return alerts_within_grant(access, rows) if access.is_limited else rows


def impact_of(access: Access, incident: Incident) -> dict[str, list[str]]:
    """Affected entities that this member may see, by id."""
    affected: dict[str, list[str]] = {"sites": [], "devices": [], "services": []}
    affected.update(problem_of(incident)["impact"])
    if not access.is_limited:
        return affected
    models = {"sites": Site, "devices": Device, "services": Service}
    for kind, model in models.items():
        rows: QuerySet[Any] = model._default_manager.filter(pk__in=affected[kind])
        visible = access.visible(rows, Permission.INCIDENTS_VIEW).values_list("pk", flat=True)
        affected[kind] = sorted(map(str, visible))
    return affected


def timeline_of(incident: Incident) -> QuerySet[TimelineEntry]:
    """Its timeline, oldest first."""
    return TimelineEntry.objects.filter(incident=incident).order_by("at", "pk")


def revisions_of(incident: Incident) -> QuerySet[Revision]:
    """Its revisions, oldest first."""
    return Revision.objects.filter(incident=incident).order_by("number")
