"""Reads of the inventory. The number of queries does not grow with rows."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Model, Q, QuerySet, UUIDField, Value
from django.db.models.functions import Cast

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core.errors import NotVisible
from apps.inventory.choices import EntityType
from apps.inventory.models import (
    BgpPeer,
    Device,
    EntityAlias,
    Interface,
    Link,
    OspfNeighbor,
    ProbeTarget,
    Service,
    Site,
)

Ref = tuple[str, UUID]


class ResolvedEntity(NamedTuple):
    """The entity of a wire id, and its devices: none, one, or both ends of a link."""

    ref: Ref
    device_ids: tuple[UUID, ...]


_MODELS: Mapping[str, type[Model]] = {
    EntityType.SITE: Site,
    EntityType.DEVICE: Device,
    EntityType.INTERFACE: Interface,
    EntityType.LINK: Link,
    EntityType.BGP_PEER: BgpPeer,
    EntityType.OSPF_NEIGHBOR: OspfNeighbor,
    EntityType.PROBE_TARGET: ProbeTarget,
    EntityType.SERVICE: Service,
}
#: Columns and format of the labels of device entities, prefixed by the device name; the others use their name.
_DEVICE_ENTITY_LABELS: Mapping[type[Model], tuple[tuple[str, ...], Callable[..., str]]] = {
    Interface: (("name",), str),
    BgpPeer: (("name", "remote_address", "remote_as"), BgpPeer.format_label),
    OspfNeighbor: (("router_id", "address"), OspfNeighbor.format_label),
}


#: The columns of an entity's devices, where it is not only ``device_id``.
_NO_DEVICE = Cast(Value(None), UUIDField())
_DEVICE_COLUMNS: Mapping[type[Model], tuple[Any, Any]] = {
    Site: (_NO_DEVICE, _NO_DEVICE),
    Device: ("pk", _NO_DEVICE),
    Link: ("a_device_id", "z_device_id"),
}


class Scope(NamedTuple):
    """The attributes that rule scopes match: an entity's device, and that device's role, site and tags.

    A link has those of its A end; sites and entities without a device have ``device_id`` null.
    """

    device_id: UUID | None
    role: str
    site_id: UUID | None
    tags: tuple[str, ...]
    #: Switched off by an operator of the router: a port or a BGP session that is meant to be down.
    disabled: bool = False


class InterfaceRow(NamedTuple):
    """The columns of an interface that the topology graph needs, without the cost of model instances."""

    id: UUID
    device_id: UUID
    name: str


@dataclass(frozen=True)
class NetworkRows:
    """All rows of the topology graph."""

    sites: list[Site]
    devices: list[Device]
    interfaces: list[InterfaceRow]
    links: list[Link]
    bgp_peers: list[BgpPeer]
    ospf_neighbors: list[OspfNeighbor]
    services: list[Service]
    probe_targets: list[ProbeTarget]


@dataclass(frozen=True)
class PolledDevices:
    """The inventory part of an agent's config: devices, expected sessions, services, probe targets."""

    devices: list[Device]
    bgp_peers: list[BgpPeer]
    ospf_neighbors: list[OspfNeighbor]
    services: list[Service]
    probe_targets: list[ProbeTarget]


def resolve_wire_ids(ids: Collection[UUID]) -> dict[UUID, ResolvedEntity]:
    """The entities of the ids in a batch: by alias first, else by id. Unknown ids are absent. One query."""
    if not ids:
        return {}
    direct = [
        model._default_manager.filter(pk__in=ids).values_list(
            "pk",
            Value(str(entity_type)),
            "pk",
            Value(1),
            *_DEVICE_COLUMNS.get(model, ("device_id", _NO_DEVICE)),
        )
        for entity_type, model in _MODELS.items()
    ]
    aliases = EntityAlias.objects.filter(wire_id__in=ids).values_list(
        "wire_id", "entity_type", "entity_id", Value(0), "device_id", _NO_DEVICE
    )
    entities: dict[UUID, ResolvedEntity] = {}
    for wire_id, entity_type, entity_id, priority, *devices in aliases.union(*direct, all=True):
        if priority == 0 or wire_id not in entities:
            entities[wire_id] = ResolvedEntity(
                (entity_type, entity_id), tuple(device for device in devices if device)
            )
    return entities


def entity_labels(refs: Iterable[Ref]) -> dict[Ref, str]:
    """Display names of entities; unknown ones are absent. One query per type."""
    ids_by_type: dict[str, set[UUID]] = {}
    for entity_type, entity_id in refs:
        ids_by_type.setdefault(entity_type, set()).add(entity_id)
    labels: dict[Ref, str] = {}
    for entity_type, ids in ids_by_type.items():
        model = _MODELS.get(entity_type)
        if model is None:
            continue
        rows: QuerySet[Any] = model._default_manager.filter(pk__in=ids)
        columns, format_label = _DEVICE_ENTITY_LABELS.get(model, ((), None))
        if format_label is None:
            names = rows.values_list("pk", "name")
            labels.update({(entity_type, pk): name for pk, name in names})
            continue
        for pk, device_name, *parts in rows.values_list("pk", "device__name", *columns):
            labels[entity_type, pk] = f"{device_name} {format_label(*parts)}"
    return labels


def scope_attributes() -> dict[Ref, Scope]:
    """Every entity's scope. Ten queries, whatever the size."""
    scopes: dict[Ref, Scope] = {
        (EntityType.SITE.value, pk): Scope(None, "", pk, ())
        for pk in Site.objects.values_list("pk", flat=True)
    }
    of_device = {
        pk: Scope(pk, role, site_id, tuple(tags))
        for pk, role, site_id, tags in Device.objects.values_list("pk", "role", "site_id", "tags")
    }
    scopes.update({(EntityType.DEVICE.value, pk): scope for pk, scope in of_device.items()})
    no_device = Scope(None, "", None, ())
    for entity_type, model in _MODELS.items():
        if model in {Site, Device}:
            continue
        column = "a_device_id" if model is Link else "device_id"
        pairs = model._default_manager.values_list("pk", column)
        scopes.update(
            {(str(entity_type), pk): of_device.get(device_id, no_device) for pk, device_id in pairs}
        )
    for entity_type in (EntityType.INTERFACE, EntityType.BGP_PEER):
        disabled = _MODELS[entity_type]._default_manager.filter(disabled=True)
        for pk in disabled.values_list("pk", flat=True):
            ref = (entity_type.value, pk)
            scopes[ref] = scopes[ref]._replace(disabled=True)
    return scopes


def linked_interface_ids() -> set[UUID]:
    """Interfaces that are ends of links. One query."""
    ends = Link.objects.values_list("a_interface_id", "z_interface_id")
    return {interface_id for pair in ends for interface_id in pair if interface_id is not None}


def network_rows() -> NetworkRows:
    """All rows of the topology graph. Eight queries, whatever the size."""
    return NetworkRows(
        sites=list(Site.objects.all()),
        devices=list(Device.objects.all()),
        interfaces=[
            InterfaceRow(*row) for row in Interface.objects.values_list("id", "device_id", "name")
        ],
        links=list(Link.objects.all()),
        bgp_peers=list(BgpPeer.objects.all()),
        ospf_neighbors=list(OspfNeighbor.objects.all()),
        services=list(Service.objects.all()),
        probe_targets=list(ProbeTarget.objects.all()),
    )


def polled_devices(
    device_ids: Collection[UUID], *, probed_device_ids: Collection[UUID]
) -> PolledDevices:
    """The inventory part of an agent's config: the devices that it polls, and probe targets of devices that it probes
    or of no device. Five queries."""
    on_devices = {"device__in": device_ids}
    return PolledDevices(
        devices=list(Device.objects.filter(pk__in=device_ids).order_by("pk")),
        bgp_peers=list(BgpPeer.objects.filter(**on_devices, disabled=False).order_by("pk")),
        ospf_neighbors=list(OspfNeighbor.objects.filter(**on_devices).order_by("pk")),
        services=list(Service.objects.filter(**on_devices).order_by("pk")),
        probe_targets=list(
            ProbeTarget.objects.filter(Q(device__in=probed_device_ids) | Q(device=None)).order_by(
                "pk"
            )
        ),
    )


def device_sites(device_ids: Collection[UUID] | None = None) -> dict[UUID, UUID]:
    """The site of each of these devices (None: of all)."""
    rows = Device.objects.all() if device_ids is None else Device.objects.filter(pk__in=device_ids)
    return dict(rows.values_list("pk", "site_id"))


def get_device(device_id: UUID) -> Device:
    """A device of the current tenant. Raises NotVisible for foreign and absent ones alike."""
    device = Device.objects.filter(pk=device_id).first()
    if device is None:
        raise NotVisible
    return device


def existing_device_ids(device_ids: Collection[UUID]) -> set[UUID]:
    """The subset that are devices of the current tenant."""
    return set(Device.objects.filter(pk__in=device_ids).values_list("pk", flat=True))


def existing_site_ids(site_ids: Collection[UUID]) -> set[UUID]:
    """The subset that are sites of the current tenant."""
    return set(Site.objects.filter(pk__in=site_ids).values_list("pk", flat=True))


def unknown_refs(refs: Iterable[Ref]) -> list[Ref]:
    """The references without an entity in the current tenant. One query per type."""
    unique = set(refs)
    return sorted(unique - entity_labels(unique).keys())


def visible_devices(access: Access) -> QuerySet[Device]:
    """The devices that this member may see."""
    return access.visible(Device.objects.all(), Permission.INVENTORY_VIEW)


def visible_sites(access: Access) -> QuerySet[Site]:
    """The sites that this member may see."""
    return access.visible(Site.objects.all(), Permission.INVENTORY_VIEW)


def get_visible_device(access: Access, device_id: UUID) -> Device:
    """A visible device with its site. Raises NotVisible for foreign and absent ones alike."""
    device = visible_devices(access).select_related("site").filter(pk=device_id).first()
    if device is None:
        raise NotVisible
    return device


def get_visible_site(access: Access, site_id: UUID) -> Site:
    """A visible site. Raises NotVisible for foreign and absent ones alike."""
    site = visible_sites(access).filter(pk=site_id).first()
    if site is None:
        raise NotVisible
    return site


def visible_site_ids(access: Access, site_ids: Collection[UUID]) -> Collection[UUID]:
    """The subset of sites that this member may see. One query for a limited member, none for others."""
    if not access.is_limited:
        return site_ids
    return set(visible_sites(access).filter(pk__in=site_ids).values_list("pk", flat=True))


def visible_device_ids(access: Access, device_ids: Collection[UUID]) -> Collection[UUID]:
    """The subset of devices that this member may see. One query for a limited member, none for others."""
    if not access.is_limited:
        return device_ids
    return set(visible_devices(access).filter(pk__in=device_ids).values_list("pk", flat=True))


def visible_site_names(access: Access) -> list[tuple[UUID, str, str]]:
    """Id, name and code of every site that this member may see, by name. One query."""
    return list(visible_sites(access).order_by("name").values_list("pk", "name", "code"))


@dataclass(frozen=True)
class SiteLocation:
    """A site's coordinates."""

    id: UUID
    name: str
    latitude: float
    longitude: float


def sites_with_coordinates(access: Access) -> list[SiteLocation]:
    """Sites with coordinates that this member may see, by name. One query."""
    rows = visible_sites(access).order_by("name").values_list("pk", "name", "latitude", "longitude")
    return [
        SiteLocation(pk, name, latitude, longitude)
        for pk, name, latitude, longitude in rows
        if latitude is not None and longitude is not None
    ]
