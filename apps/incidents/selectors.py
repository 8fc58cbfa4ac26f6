"""Reads of incidents."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core.errors import NotVisible
from apps.incidents.choices import IncidentStatus
from apps.incidents.limits import seen_alerts, with_root_seen
from apps.incidents.models import Incident, IncidentAlert, Revision, TimelineEntry
from apps.inventory.models import Device, Service, Site


def visible_incidents(access: Access) -> QuerySet[Incident]:
    """The incidents that this person may see."""
    rows = access.visible(Incident.objects.all(), Permission.INCIDENTS_VIEW)
    return with_root_seen(rows, access) if access.is_limited else rows


def get_visible_incident(access: Access, incident_id: UUID | str) -> Incident:
    """One of them. Raises NotVisible for foreign and absent alike."""
    incident = visible_incidents(access).filter(pk=incident_id).first()
    if incident is None:
        raise NotVisible
    return incident


def open_incident_count(access: Access) -> int:
    return visible_incidents(access).filter(status=IncidentStatus.OPEN).count()


def incidents_within(
    access: Access, *, start: datetime, end: datetime, most: int = 60
) -> list[Incident]:
    """Those that burned at some time between two moments: the newest, oldest first. One query."""
    rows = visible_incidents(access).filter(
        Q(ended_at=None) | Q(ended_at__gte=start), started_at__lte=end
    )
    return list(reversed(rows.order_by("-started_at", "-pk")[:most]))


def incidents_involving(
    access: Access, entity_ids: Collection[UUID], *, only_open: bool = False, most: int = 20
) -> list[Incident]:
    """Those with a cause or an alert on any of these entities, newest first. One query."""
    touched = IncidentAlert.objects.filter(entity_id__in=entity_ids).values("incident_id")
    rows = visible_incidents(access).filter(Q(root_id__in=entity_ids) | Q(pk__in=touched))
    if only_open:
        rows = rows.filter(status=IncidentStatus.OPEN)
    return list(rows.order_by("-started_at", "-pk")[:most])


@dataclass(frozen=True)
class Place:
    """Where an alert stands: under which incident, and why it is held back there, if it is."""

    incident_id: UUID
    number: int
    held_because: str


def places_of(access: Access, alert_ids: Collection[UUID]) -> dict[UUID, Place]:
    """The places of these alerts; absent where an alert stands alone. Two queries."""
    rows = access.visible(IncidentAlert.objects.all(), Permission.INCIDENTS_VIEW)
    if access.is_limited:
        rows = seen_alerts(access, rows)
    found = list(rows.filter(alert_id__in=alert_ids))
    incident_ids = {row.incident_id for row in found}
    numbers = dict(Incident.objects.filter(pk__in=incident_ids).values_list("pk", "number"))
    return {
        row.alert_id: Place(row.incident_id, numbers[row.incident_id], row.held_because)
        for row in found
        if row.incident_id in numbers
    }


def held_alerts(access: Access) -> QuerySet[IncidentAlert]:
    """Alerts that are held back as consequences."""
    rows = access.visible(IncidentAlert.objects.all(), Permission.INCIDENTS_VIEW)
    return rows.filter(is_suppressed=True)


def incidents_matching(access: Access, words: str, *, most: int) -> list[Incident]:
    """Those whose number, title or cause is so, newest first. One query."""
    return list(called(access, visible_incidents(access), words).order_by("-number")[:most])


def called(access: Access, rows: QuerySet[Incident], words: str) -> QuerySet[Incident]:
    """Those whose number, title or cause is so."""
    asked = Q(title__icontains=words) | Q(root_name__icontains=words)
    if access.is_limited:  # else words would be tried until the cause outside the grant is known
        asked &= Q(is_root_seen=True)
    number = words.upper().removeprefix("INC-")
    if number.isascii() and number.isdecimal() and len(number) < 10:  # noqa: PLR2004
        asked |= Q(number=int(number))
    return rows.filter(asked)


def trouble_of(incident: Incident) -> dict[str, Any]:
    """What the newest revision says of it: causes with their signs, impact, suppressions."""
    revision = Revision.objects.filter(incident=incident, number=incident.revision).first()
    return revision.trouble if revision else {"causes": [], "suppressed": [], "impact": {}}


def alerts_of(incident: Incident) -> QuerySet[IncidentAlert]:
    """Its alerts: the causes' own signs first, then consequences by router."""
    return IncidentAlert.objects.filter(incident=incident).order_by(
        "is_suppressed", "device_name", "entity_name", "pk"
    )


def visible_alerts_of(access: Access, incident: Incident) -> QuerySet[IncidentAlert]:
    """Those of them that this person may see."""
    rows = alerts_of(incident)
    return seen_alerts(access, rows) if access.is_limited else rows


def impact_of(access: Access, incident: Incident) -> dict[str, list[str]]:
    """Who is hit, by id: of those that this person may see."""
    hit: dict[str, list[str]] = {"sites": [], "devices": [], "services": []}
    hit.update(trouble_of(incident)["impact"])
    if not access.is_limited:
        return hit
    models = {"sites": Site, "devices": Device, "services": Service}
    for kind, model in models.items():
        rows: QuerySet[Any] = model._default_manager.filter(pk__in=hit[kind])  # noqa: SLF001  (Django's public spelling)
        seen = access.visible(rows, Permission.INCIDENTS_VIEW).values_list("pk", flat=True)
        hit[kind] = sorted(map(str, seen))
    return hit


def timeline_of(incident: Incident) -> QuerySet[TimelineEntry]:
    """Its story, oldest first."""
    return TimelineEntry.objects.filter(incident=incident).order_by("at", "pk")


def revisions_of(incident: Incident) -> QuerySet[Revision]:
    """Its verdicts, oldest first."""
    return Revision.objects.filter(incident=incident).order_by("number")
