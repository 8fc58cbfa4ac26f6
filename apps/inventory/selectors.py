"""Reads of the inventory: what an id means, what it is called, where it stands. Queries do not grow with rows."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import CharField, Model, Q, QuerySet, UUIDField, Value
from django.db.models.functions import Cast

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core.errors import NotVisible
from apps.inventory.choices import EntityType
from apps.inventory.models import (
    BgpPeer,
    Device,
    Interface,
    Link,
    OspfNeighbor,
    ProbeTarget,
    Service,
    Site,
    WireAlias,
)

Ref = tuple[str, UUID]


class WireEntity(NamedTuple):
    """The entity that a wire id means, and the devices that it stands on: none, one, or both ends of a link."""

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
#: What stands on a router is called by that router and by these columns; everything else has a name of its own.
_ON_ROUTERS: Mapping[type[Model], tuple[tuple[str, ...], Callable[..., str]]] = {
    Interface: (("name",), str),
    BgpPeer: (("name", "remote_address", "remote_as"), BgpPeer.called),
    OspfNeighbor: (("router_id", "address"), OspfNeighbor.called),
}


#: The columns of an entity's devices, where it is not ``device_id`` alone.
_NOWHERE = Cast(Value(None), UUIDField())
_DEVICES_OF: Mapping[type[Model], tuple[Any, Any]] = {
    Site: (_NOWHERE, _NOWHERE),
    Device: ("pk", _NOWHERE),
    Link: ("a_device_id", "z_device_id"),
}


class Scope(NamedTuple):
    """What a rule's scope looks at: the device that an entity sits on, that device's role, site and tags.

    Of a link it is the A end; of a site and of what has no device, ``device_id`` is null.
    """

    device_id: UUID | None
    role: str
    site_id: UUID | None
    tags: tuple[str, ...]


class InterfaceRow(NamedTuple):
    """What a graph needs of an interface. There are many: no model is built of each."""

    id: UUID
    device_id: UUID
    name: str


@dataclass(frozen=True)
class NetworkRows:
    """Everything that a graph is made of, as rows."""

    sites: list[Site]
    devices: list[Device]
    interfaces: list[InterfaceRow]
    links: list[Link]
    bgp_peers: list[BgpPeer]
    ospf_neighbors: list[OspfNeighbor]
    services: list[Service]
    probe_targets: list[ProbeTarget]


@dataclass(frozen=True)
class WatchedDevices:
    """What an agent needs to know of some devices: the rows, what they should have, what probes them."""

    devices: list[Device]
    bgp_peers: list[BgpPeer]
    ospf_neighbors: list[OspfNeighbor]
    services: list[Service]
    probe_targets: list[ProbeTarget]


def resolve_wire_ids(ids: Collection[UUID]) -> dict[UUID, WireEntity]:
    """What the ids in a batch mean: an alias first, else the entity of that id. Unknown ids are absent. One query."""
    if not ids:
        return {}
    direct = [
        model._default_manager.filter(pk__in=ids).values_list(  # noqa: SLF001  (Django's public spelling)
            "pk",
            Value(str(entity_type)),
            "pk",
            Value(1),
            *_DEVICES_OF.get(model, ("device_id", _NOWHERE)),
        )
        for entity_type, model in _MODELS.items()
    ]
    aliased = WireAlias.objects.filter(wire_id__in=ids).values_list(
        "wire_id", "entity_type", "entity_id", Value(0), "device_id", _NOWHERE
    )
    found: dict[UUID, WireEntity] = {}
    for wire_id, entity_type, entity_id, rank, *devices in aliased.union(*direct, all=True):
        if rank == 0 or wire_id not in found:
            found[wire_id] = WireEntity(
                (entity_type, entity_id), tuple(device for device in devices if device)
            )
    return found


def entity_labels(refs: Iterable[Ref]) -> dict[Ref, str]:
    """What operators call these entities; absent when there is no such row. One query per type."""
    wanted: dict[str, set[UUID]] = {}
    for entity_type, entity_id in refs:
        wanted.setdefault(entity_type, set()).add(entity_id)
    labels: dict[Ref, str] = {}
    for entity_type, ids in wanted.items():
        model = _MODELS.get(entity_type)
        if model is None:
            continue
        rows: QuerySet[Any] = model._default_manager.filter(pk__in=ids)  # noqa: SLF001
        columns, called = _ON_ROUTERS.get(model, ((), None))
        if called is None:
            names = rows.values_list("pk", "name")
            labels.update({(entity_type, pk): name for pk, name in names})
            continue
        for pk, router, *parts in rows.values_list("pk", "device__name", *columns):
            labels[entity_type, pk] = f"{router} {called(*parts)}"
    return labels


def scope_attributes() -> dict[Ref, Scope]:
    """Every entity's scope. Eight queries, whatever the size."""
    scopes: dict[Ref, Scope] = {
        (EntityType.SITE.value, pk): Scope(None, "", pk, ())
        for pk in Site.objects.values_list("pk", flat=True)
    }
    of_device = {
        pk: Scope(pk, role, site_id, tuple(tags))
        for pk, role, site_id, tags in Device.objects.values_list("pk", "role", "site_id", "tags")
    }
    scopes.update({(EntityType.DEVICE.value, pk): scope for pk, scope in of_device.items()})
    nowhere = Scope(None, "", None, ())
    for entity_type, model in _MODELS.items():
        if model in {Site, Device}:
            continue
        column = "a_device_id" if model is Link else "device_id"
        pairs = model._default_manager.values_list("pk", column)  # noqa: SLF001
        scopes.update({(str(entity_type), pk): of_device.get(at, nowhere) for pk, at in pairs})
    return scopes


def linked_interface_ids() -> set[UUID]:
    """Interfaces on which a link ends. One query."""
    ends = Link.objects.values_list("a_interface_id", "z_interface_id")
    return {interface_id for pair in ends for interface_id in pair if interface_id is not None}


def network_rows() -> NetworkRows:
    """Everything that a graph is made of. Eight queries, whatever the size."""
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


def watched_devices(
    device_ids: Collection[UUID], *, probed_device_ids: Collection[UUID]
) -> WatchedDevices:
    """What an agent needs to know of the devices that it reads and of those that it probes, and the probes that every
    agent runs. Five queries."""
    on_them = {"device__in": device_ids}
    return WatchedDevices(
        devices=list(Device.objects.filter(pk__in=device_ids).order_by("pk")),
        bgp_peers=list(BgpPeer.objects.filter(**on_them, disabled=False).order_by("pk")),
        ospf_neighbors=list(OspfNeighbor.objects.filter(**on_them).order_by("pk")),
        services=list(Service.objects.filter(**on_them).order_by("pk")),
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
    """A device of the current tenant. Raises NotVisible for foreign and absent alike."""
    device = Device.objects.filter(pk=device_id).first()
    if device is None:
        raise NotVisible
    return device


def existing_device_ids(device_ids: Collection[UUID]) -> set[UUID]:
    """Which of these are devices of the current tenant."""
    return set(Device.objects.filter(pk__in=device_ids).values_list("pk", flat=True))


def existing_site_ids(site_ids: Collection[UUID]) -> set[UUID]:
    """Which of these are sites of the current tenant."""
    return set(Site.objects.filter(pk__in=site_ids).values_list("pk", flat=True))


def unknown_refs(refs: Iterable[Ref]) -> list[Ref]:
    """Which of these name no entity of the current tenant. One query per type."""
    asked = set(refs)
    return sorted(asked - entity_labels(asked).keys())


def visible_devices(access: Access) -> QuerySet[Device]:
    """The devices that this member may see."""
    return access.visible(Device.objects.all(), Permission.INVENTORY_VIEW)


def visible_sites(access: Access) -> QuerySet[Site]:
    """The sites that this member may see."""
    return access.visible(Site.objects.all(), Permission.INVENTORY_VIEW)


def get_visible_device(access: Access, device_id: UUID) -> Device:
    """One of them with its site. Raises NotVisible for foreign and absent alike."""
    device = visible_devices(access).select_related("site").filter(pk=device_id).first()
    if device is None:
        raise NotVisible
    return device


def get_visible_site(access: Access, site_id: UUID) -> Site:
    """One of them. Raises NotVisible for foreign and absent alike."""
    site = visible_sites(access).filter(pk=site_id).first()
    if site is None:
        raise NotVisible
    return site


def seen_sites_of(access: Access, site_ids: Collection[UUID]) -> Collection[UUID]:
    """Those of these sites, which stand above what this member sees, that they may see too. One query for a limited
    member, none for others."""
    if not access.is_limited:
        return site_ids
    return set(visible_sites(access).filter(pk__in=site_ids).values_list("pk", flat=True))


def seen_devices_of(access: Access, device_ids: Collection[UUID]) -> Collection[UUID]:
    """Those of these devices that this member may see. One query for a limited member, none for others."""
    if not access.is_limited:
        return device_ids
    return set(visible_devices(access).filter(pk__in=device_ids).values_list("pk", flat=True))


def devices_called(devices: QuerySet[Device], words: str) -> QuerySet[Device]:
    """Those whose name, identity or address holds these words."""
    return devices.annotate(address=Cast("management_address", CharField())).filter(
        Q(name__icontains=words) | Q(identity__icontains=words) | Q(address__startswith=words)
    )


def sites_called(sites: QuerySet[Site], words: str) -> QuerySet[Site]:
    """Those whose name or code holds these words."""
    return sites.filter(Q(name__icontains=words) | Q(code__icontains=words))


def visible_site_names(access: Access) -> list[tuple[UUID, str, str]]:
    """Id, name and code of every site that this member may see, by name. One query."""
    return list(visible_sites(access).order_by("name").values_list("pk", "name", "code"))


@dataclass(frozen=True)
class Place:
    """Where a site stands."""

    id: UUID
    name: str
    latitude: float
    longitude: float


def placed_sites(access: Access) -> list[Place]:
    """Sites with coordinates that this member may see, by name. One query."""
    rows = visible_sites(access).order_by("name").values_list("pk", "name", "latitude", "longitude")
    return [
        Place(pk, name, latitude, longitude)
        for pk, name, latitude, longitude in rows
        if latitude is not None and longitude is not None
    ]
