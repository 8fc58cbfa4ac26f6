"""Reads of incidents."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.accounts.access import Access
from apps.accounts.permissions import Permission
from apps.core.errors import NotVisible
from apps.incidents.choices import IncidentStatus
from apps.incidents.limits import with_root_seen
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


def trouble_of(incident: Incident) -> dict[str, Any]:
    """What the newest revision says of it: causes with their signs, impact, suppressions."""
    revision = Revision.objects.filter(incident=incident, number=incident.revision).first()
    return revision.trouble if revision else {"causes": [], "suppressed": [], "impact": {}}


def alerts_of(incident: Incident) -> QuerySet[IncidentAlert]:
    """Its alerts: the causes' own signs first, then consequences by router."""
    return IncidentAlert.objects.filter(incident=incident).order_by(
        "is_suppressed", "device_name", "entity_name", "pk"
    )


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
