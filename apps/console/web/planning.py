"""Planning work: which places it is about, and what a window over them would hold back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F, Q

from apps.agents.models import Agent
from apps.alerts.choices import Severity
from apps.alerts.selectors import open_alerts
from apps.authorization.access import Access
from apps.incidents.choices import IncidentStatus
from apps.incidents.limits import is_fully_visible
from apps.incidents.models import Incident, Revision
from apps.incidents.selectors import problem_of, visible_incidents
from apps.inventory.device_entities import devices_of_entities, entities_on_devices
from apps.inventory.models import Device, Link, Site
from apps.inventory.selectors import (
    search_devices,
    search_sites,
    visible_devices,
    visible_sites,
)

MOST_FOUND = 8
MOST_NAMED = 6


@dataclass(frozen=True)
class Places:
    """Sites and devices to work on, as chosen so far."""

    sites: tuple[Site, ...] = ()
    devices: tuple[Device, ...] = ()
    #: Something was named that this member does not see.
    has_unknown: bool = False

    @property
    def site_ids(self) -> list[UUID]:
        return [row.id for row in self.sites]

    @property
    def device_ids(self) -> list[UUID]:
        return [row.id for row in self.devices]

    @property
    def is_empty(self) -> bool:
        return not (self.sites or self.devices)


def places_named(
    access: Access, *, site_ids: Collection[UUID], device_ids: Collection[UUID]
) -> Places:
    """Those of the named ones that this member may see. Two queries."""
    sites = tuple(visible_sites(access).filter(pk__in=site_ids).order_by("name"))
    devices = tuple(visible_devices(access).filter(pk__in=device_ids).order_by("name"))
    wanted = len(set(site_ids)) + len(set(device_ids))
    return Places(sites, devices, has_unknown=len(sites) + len(devices) < wanted)


def places_called(access: Access, words: str, *, but: Places) -> Places:
    """The first sites and devices that are called so and are not chosen yet. Two queries."""
    if not words:
        return Places()
    sites = visible_sites(access).exclude(pk__in=but.site_ids).order_by("name")
    devices = visible_devices(access).exclude(pk__in=but.device_ids).order_by("name")
    return Places(
        sites=tuple(search_sites(sites, words)[:MOST_FOUND]),
        devices=tuple(search_devices(devices, words)[:MOST_FOUND]),
    )


def places_of_incident(access: Access, incident: Incident) -> Places:
    """Where its causes are: sites, and the devices that causes sit on. Nothing of an incident that reaches beyond what
    a limited member may see."""
    if not is_fully_visible(access, incident):
        return Places()
    ids = [UUID(cause["entity_id"]) for cause in problem_of(incident)["causes"]]
    ids = ids or [incident.root_id]
    agents = Agent.objects.filter(pk__in=ids, attached_device__isnull=False)
    on = {*devices_of_entities(ids).values(), *agents.values_list("attached_device", flat=True)}
    found = places_named(access, site_ids=ids, device_ids=on)
    return Places(found.sites, found.devices)


@dataclass(frozen=True)
class HeldIncident:
    """An open incident that the window would hold back."""

    id: UUID
    number: int
    title: str


@dataclass(frozen=True)
class Preview:
    """What a window over some places matches now."""

    devices: int
    names: tuple[str, ...]
    more: int
    alerts: int
    incidents: tuple[HeldIncident, ...]


def preview_of(access: Access, places: Places, *, hears_critical: bool) -> Preview:
    """At most eight queries, whatever the places hold."""
    named = list(
        visible_devices(access)
        .filter(Q(site__in=places.site_ids) | Q(pk__in=places.device_ids))
        .order_by("name")
        .values_list("pk", "name")
    )
    covered = _covered(places, [pk for pk, _name in named])
    return Preview(
        devices=len(named),
        names=tuple(name for _pk, name in named[:MOST_NAMED]),
        more=max(0, len(named) - MOST_NAMED),
        alerts=open_alerts(access).filter(entity_id__in=covered).count(),
        incidents=tuple(_held(access, covered, hears_critical=hears_critical)),
    )


def _covered(places: Places, device_ids: Sequence[UUID]) -> set[UUID]:
    """All that stands under the window, as correlation will judge it: a wire from each of its ends, an agent by the
    device that it is wired to."""
    wires = Link.objects.filter(z_device__in=device_ids).values_list("pk", flat=True)
    agents = Agent.objects.filter(attached_device__in=device_ids).values_list("pk", flat=True)
    return {*places.site_ids, *entities_on_devices(device_ids), *wires, *agents}


def _held(access: Access, covered: set[UUID], *, hears_critical: bool) -> list[HeldIncident]:
    """The open incidents each of whose causes is covered."""
    rows = visible_incidents(access).filter(status=IncidentStatus.OPEN, root_id__in=covered)
    if hears_critical:
        rows = rows.exclude(severity=Severity.CRITICAL)
    found = list(rows.order_by("number"))
    newest = Revision.objects.filter(
        incident__in=[row.id for row in found], number=F("incident__revision")
    )
    causes = {
        incident_id: {UUID(cause["entity_id"]) for cause in problem["causes"]}
        for incident_id, problem in newest.values_list("incident_id", "problem")
    }
    return [
        HeldIncident(row.id, row.number, row.display_title)
        for row in found
        if causes.get(row.id, set()) <= covered
    ]
