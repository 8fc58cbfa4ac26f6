"""How the items of each section of an inventory patch map to rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apps.inventory.choices import EntityType, ServiceKind
from apps.inventory.models import BgpPeer, Interface, OspfNeighbor, Service
from apps.inventory.patch import BgpPeerItem, InterfaceItem, OspfNeighborItem, ServiceItem


@dataclass(frozen=True)
class EntityKind:
    """How the items of one section map to rows; an item's keys are tried in order against the rows' keys."""

    section: str
    entity_type: EntityType
    model: type[Any]
    keys_of_item: Callable[[Any], list[tuple[Any, ...]]]
    keys_of_row: Callable[[Any], list[tuple[Any, ...]]]
    values: Callable[[Any], dict[str, Any]]


def _interface_values(item: InterfaceItem) -> dict[str, Any]:
    return {
        "name": item.name,
        "type": item.type,
        "disabled": item.disabled,
        "mac_address": item.mac_address,
        "comment": item.comment,
        "mtu": item.mtu,
        "speed_bps": item.speed_bps,
    }


def _bgp_values(item: BgpPeerItem) -> dict[str, Any]:
    return {
        "name": item.name,
        "remote_address": item.remote_address,
        "remote_as": item.remote_as,
        "local_as": item.local_as,
        "disabled": item.disabled,
    }


def _bgp_item_keys(item: BgpPeerItem) -> list[tuple[Any, ...]]:
    remote = (item.device_id, item.remote_address, item.remote_as)
    # A session that an operator created without a name matches once the router reports the name.
    return [(item.device_id, item.name), remote] if item.name else [remote]


def _bgp_row_keys(row: BgpPeer) -> list[tuple[Any, ...]]:
    if row.name:
        return [(row.device_id, row.name)]
    return [(row.device_id, row.remote_address, row.remote_as)]


def _ospf_values(item: OspfNeighborItem) -> dict[str, Any]:
    return {
        "router_id": item.router_id,
        "area": item.area,
        "address": item.address,
        "interface_name": item.interface,
        "instance": item.instance,
    }


def _ospf_key(row: OspfNeighbor | OspfNeighborItem) -> list[tuple[Any, ...]]:
    return [(row.device_id, row.router_id, row.area, row.address)]


def _service_key(row: Service | ServiceItem) -> list[tuple[Any, ...]]:
    return [(row.device_id, str(row.kind), row.name)]


def _interface_key(row: Interface | InterfaceItem) -> list[tuple[Any, ...]]:
    return [(row.device_id, row.name)]


ENTITY_KINDS = (
    EntityKind(
        "interfaces",
        EntityType.INTERFACE,
        Interface,
        _interface_key,
        _interface_key,
        _interface_values,
    ),
    EntityKind(
        "bgp_peers", EntityType.BGP_PEER, BgpPeer, _bgp_item_keys, _bgp_row_keys, _bgp_values
    ),
    EntityKind(
        "ospf_neighbors",
        EntityType.OSPF_NEIGHBOR,
        OspfNeighbor,
        _ospf_key,
        _ospf_key,
        _ospf_values,
    ),
    EntityKind(
        "services",
        EntityType.SERVICE,
        Service,
        _service_key,
        _service_key,
        lambda item: {"kind": ServiceKind(item.kind), "name": item.name},
    ),
)
