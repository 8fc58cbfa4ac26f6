"""Planning maintenance: the targets, and the preview of what the window would suppress."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F, Q

from apps.agents.models import Agent
from apps.alerts.choices import Severity
from apps.alerts.models import Alert
from apps.authorization.access import Access
from apps.incidents.limits import is_fully_visible
from apps.incidents.models import Incident, Revision
from apps.incidents.selectors import problem_of
from apps.inventory.device_entities import devices_of_entities, entities_on_devices
from apps.inventory.models import Device, Link, Site
from apps.inventory.searching import search_devices, search_sites
from apps.inventory.selectors import (
    visible_devices,
    visible_sites,
)

MAX_RESULTS = 8
MAX_NAMES = 6


@dataclass(frozen=True)
class Targets:
    """Sites and devices chosen so far."""

    sites: tuple[Site, ...] = ()
    devices: tuple[Device, ...] = ()
    #: An id was submitted that this member may not view.
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


def selected_targets(
    access: Access, *, site_ids: Collection[UUID], device_ids: Collection[UUID]
) -> Targets:
    """The given targets that this member may view. Two queries."""
    sites = tuple(visible_sites(access).filter(pk__in=site_ids).order_by("name"))
    devices = tuple(visible_devices(access).filter(pk__in=device_ids).order_by("name"))
    wanted = len(set(site_ids)) + len(set(device_ids))
    return Targets(sites, devices, has_unknown=len(sites) + len(devices) < wanted)


def search_targets(access: Access, words: str, *, but: Targets) -> Targets:
    """The first sites and devices whose name matches and that are not chosen yet. Two queries."""
    if not words:
        return Targets()
    sites = visible_sites(access).exclude(pk__in=but.site_ids).order_by("name")
    devices = visible_devices(access).exclude(pk__in=but.device_ids).order_by("name")
    return Targets(
        sites=tuple(search_sites(sites, words)[:MAX_RESULTS]),
        devices=tuple(search_devices(devices, words)[:MAX_RESULTS]),
    )


def targets_of_incident(access: Access, incident: Incident) -> Targets:
    """The sites and devices of its causes. Empty for an incident that includes objects which
    a limited member may not view."""
    if not is_fully_visible(access, incident):
        return Targets()
    ids = [UUID(cause["entity_id"]) for cause in problem_of(incident)["causes"]]
    ids = ids or [incident.root_id]
    agents = Agent.objects.filter(pk__in=ids, attached_device__isnull=False)
    on = {*devices_of_entities(ids).values(), *agents.values_list("attached_device", flat=True)}
    found = selected_targets(access, site_ids=ids, device_ids=on)
    return Targets(found.sites, found.devices)


@dataclass(frozen=True)
class Preview:
    """What a window over these targets matches now."""

    devices: int
    names: tuple[str, ...]
    more: int
    alerts: int
    #: Those whose notifications it suppresses.
    incidents: tuple[Incident, ...]


def preview_of(access: Access, targets: Targets, *, notifies_critical: bool) -> Preview:
    """At most eight queries, whatever the targets contain."""
    named = list(
        visible_devices(access)
        .filter(Q(site__in=targets.site_ids) | Q(pk__in=targets.device_ids))
        .order_by("name")
        .values_list("pk", "name")
    )
    entities = _entities_in_scope(targets, [pk for pk, _name in named])
    return Preview(
        devices=len(named),
        names=tuple(name for _pk, name in named[:MAX_NAMES]),
        more=max(0, len(named) - MAX_NAMES),
        alerts=Alert.objects.visible_to(access).open().filter(entity_id__in=entities).count(),
        incidents=tuple(
            _suppressed_incidents(access, entities, notifies_critical=notifies_critical)
        ),
    )


def _entities_in_scope(targets: Targets, device_ids: Sequence[UUID]) -> set[UUID]:
    """All entities in the scope of the window, as correlation evaluates it: a link by either end, an agent by the
    device that it is connected to."""
    links = Link.objects.filter(z_device__in=device_ids).values_list("pk", flat=True)
    agents = Agent.objects.filter(attached_device__in=device_ids).values_list("pk", flat=True)
    return {*targets.site_ids, *entities_on_devices(device_ids), *links, *agents}


def _suppressed_incidents(
    access: Access, entities: set[UUID], *, notifies_critical: bool
) -> list[Incident]:
    """The open incidents whose causes are all in scope."""
    rows = Incident.objects.visible_to(access).open().filter(root_id__in=entities)
    if notifies_critical:
        rows = rows.exclude(severity=Severity.CRITICAL)
    found = list(rows.order_by("number"))
    newest = Revision.objects.filter(
        incident__in=[row.id for row in found], number=F("incident__revision")
    )
    causes = {
        incident_id: {UUID(cause["entity_id"]) for cause in problem["causes"]}
        for incident_id, problem in newest.values_list("incident_id", "problem")
    }
    return [row for row in found if causes.get(row.id, set()) <= entities]
