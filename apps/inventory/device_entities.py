"""Reads of the entities on devices and of neighboring devices. The number of queries does not grow with rows."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.inventory.models import (
    BgpPeer,
    Device,
    Interface,
    Link,
    OspfNeighbor,
    ProbeTarget,
    Service,
)


@dataclass(frozen=True)
class Neighborhood:
    """A device, the devices at the far ends of its links, and their OSPF neighbors."""

    names: dict[UUID, str]
    addresses: dict[UUID, str]
    links: list[Link]
    ospf_neighbors: list[OspfNeighbor]


def neighborhood_of(device: Device) -> Neighborhood:
    """The neighborhood of a device. Three queries."""
    links = list(Link.objects.filter(Q(a_device=device) | Q(z_device=device)))
    ids = {device.id, *(end for row in links for end in (row.a_device_id, row.z_device_id) if end)}
    devices = list(
        Device.objects.filter(pk__in=ids).values_list("pk", "name", "management_address")
    )
    return Neighborhood(
        names={pk: name for pk, name, _address in devices},
        addresses={pk: address for pk, _name, address in devices},
        links=links,
        ospf_neighbors=list(OspfNeighbor.objects.filter(device__in=ids)),
    )


def entities_on_devices(device_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Entity id -> device id for everything on these devices, the devices included. One query."""
    querysets: list[QuerySet[Any, Any]] = [
        model._default_manager.filter(device__in=device_ids).values_list("pk", "device_id")
        for model in (Interface, BgpPeer, OspfNeighbor, ProbeTarget, Service)
    ]
    links = Link.objects.filter(a_device__in=device_ids).values_list("pk", "a_device_id")
    device_ids_by_entity = dict(links.union(*querysets, all=True))
    return device_ids_by_entity | {device_id: device_id for device_id in device_ids}


def devices_of_entities(entity_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Entity id -> device id for these entities; a device maps to itself. One query."""
    querysets: list[QuerySet[Any, Any]] = [
        model._default_manager.filter(pk__in=entity_ids, device__isnull=False).values_list(
            "pk", "device_id"
        )
        for model in (Interface, BgpPeer, OspfNeighbor, ProbeTarget, Service)
    ]
    links = Link.objects.filter(pk__in=entity_ids).values_list("pk", "a_device_id")
    devices = Device.objects.filter(pk__in=entity_ids).values_list("pk", "pk")
    return dict(links.union(devices, *querysets, all=True))


def collectors_of_entities(entity_ids: Collection[UUID]) -> dict[UUID, str]:
    """Entity id -> collector of its device; of a link, that of its A end. One query."""
    querysets: list[QuerySet[Any, Any]] = [
        model._default_manager.filter(pk__in=entity_ids, device__isnull=False).values_list(
            "pk", "device__collector"
        )
        for model in (Interface, BgpPeer, OspfNeighbor, ProbeTarget, Service)
    ]
    links = Link.objects.filter(pk__in=entity_ids).values_list("pk", "a_device__collector")
    devices = Device.objects.filter(pk__in=entity_ids).values_list("pk", "collector")
    return dict(links.union(devices, *querysets, all=True))


@dataclass(frozen=True)
class DeviceEntities:
    """The rows of one device."""

    interfaces: list[Interface]
    links: list[Link]
    bgp_peers: list[BgpPeer]
    ospf_neighbors: list[OspfNeighbor]
    services: list[Service]
    probe_targets: list[ProbeTarget]

    def far_device_ids(self, device: Device) -> set[UUID]:
        """The devices at the far ends of its links."""
        ends = {pk for row in self.links for pk in (row.a_device_id, row.z_device_id) if pk}
        return ends - {device.pk}

    def ids(self) -> set[UUID]:
        """The ids of all rows."""
        rows = (self.interfaces, self.links, self.bgp_peers, self.ospf_neighbors)
        more = (self.services, self.probe_targets)
        return {row.pk for group in (*rows, *more) for row in group}


def entities_of_device(device: Device) -> DeviceEntities:
    """The rows of one device, links with both ends' names. Six queries."""
    links = Link.objects.filter(Q(a_device=device) | Q(z_device=device))
    return DeviceEntities(
        interfaces=list(device.interfaces.order_by("name")),
        links=list(links.select_related("a_device", "z_device").order_by("name")),
        bgp_peers=list(device.bgp_peers.order_by("name", "remote_address")),
        ospf_neighbors=list(device.ospf_neighbors.order_by("router_id", "address")),
        services=list(device.services.order_by("kind", "name")),
        probe_targets=list(device.probe_targets.order_by("name")),
    )
