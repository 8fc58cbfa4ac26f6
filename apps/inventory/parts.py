"""Reads of what sits on devices and stands next to them. Queries do not grow with rows."""

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
class Vicinity:
    """A device, those at the far ends of its links, and how they see each other."""

    names: dict[UUID, str]
    addresses: dict[UUID, str]
    links: list[Link]
    ospf_neighbors: list[OspfNeighbor]


def vicinity_of(device: Device) -> Vicinity:
    """Three queries."""
    links = list(Link.objects.filter(Q(a_device=device) | Q(z_device=device)))
    ids = {device.id, *(end for row in links for end in (row.a_device_id, row.z_device_id) if end)}
    found = list(Device.objects.filter(pk__in=ids).values_list("pk", "name", "management_address"))
    return Vicinity(
        names={pk: name for pk, name, _address in found},
        addresses={pk: address for pk, _name, address in found},
        links=links,
        ospf_neighbors=list(OspfNeighbor.objects.filter(device__in=ids)),
    )


def parts_of(device_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """What sits on these devices, themselves too: part -> device. One query."""
    on_them: list[QuerySet[Any, Any]] = [
        model._default_manager.filter(device__in=device_ids).values_list("pk", "device_id")  # noqa: SLF001
        for model in (Interface, BgpPeer, OspfNeighbor, ProbeTarget, Service)
    ]
    links = Link.objects.filter(a_device__in=device_ids).values_list("pk", "a_device_id")
    parts = dict(links.union(*on_them, all=True))
    return parts | {device_id: device_id for device_id in device_ids}


def devices_of(part_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """On which device each of these sits, a device on itself: part -> device. One query."""
    of: list[QuerySet[Any, Any]] = [
        model._default_manager.filter(pk__in=part_ids, device__isnull=False).values_list(  # noqa: SLF001
            "pk", "device_id"
        )
        for model in (Interface, BgpPeer, OspfNeighbor, ProbeTarget, Service)
    ]
    links = Link.objects.filter(pk__in=part_ids).values_list("pk", "a_device_id")
    themselves = Device.objects.filter(pk__in=part_ids).values_list("pk", "pk")
    return dict(links.union(themselves, *of, all=True))


@dataclass(frozen=True)
class DeviceParts:
    """What sits on one device, as rows."""

    interfaces: list[Interface]
    links: list[Link]
    bgp_peers: list[BgpPeer]
    ospf_neighbors: list[OspfNeighbor]
    services: list[Service]
    probe_targets: list[ProbeTarget]

    def far_device_ids(self, device: Device) -> set[UUID]:
        """The devices at the other ends of its links."""
        ends = {pk for row in self.links for pk in (row.a_device_id, row.z_device_id) if pk}
        return ends - {device.pk}

    def ids(self) -> set[UUID]:
        """Of all of them."""
        rows = (self.interfaces, self.links, self.bgp_peers, self.ospf_neighbors)
        more = (self.services, self.probe_targets)
        return {row.pk for part in (*rows, *more) for row in part}


def parts_of_device(device: Device) -> DeviceParts:
    """The rows of one device, links with both ends' names. Six queries."""
    links = Link.objects.filter(Q(a_device=device) | Q(z_device=device))
    return DeviceParts(
        interfaces=list(device.interfaces.order_by("name")),
        links=list(links.select_related("a_device", "z_device").order_by("name")),
        bgp_peers=list(device.bgp_peers.order_by("name", "remote_address")),
        ospf_neighbors=list(device.ospf_neighbors.order_by("router_id", "address")),
        services=list(device.services.order_by("kind", "name")),
        probe_targets=list(device.probe_targets.order_by("name")),
    )
