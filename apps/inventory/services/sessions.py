"""Expected routing sessions, created by operators before or without discovery."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from agent.protocol.ids import bgp_peer_id, interface_id, ospf_neighbor_id, pppoe_service_id
from apps.authorization.actors import Actor
from apps.inventory.choices import EntityType, ServiceKind
from apps.inventory.models import (
    BgpPeer,
    Device,
    EntityAlias,
    Interface,
    OspfNeighbor,
    Service,
)
from apps.inventory.services.base import delete_row, save_new


def create_bgp_peer(
    *,
    device: Device,
    remote_address: str,
    remote_as: int,
    name: str = "",
    local_as: int | None = None,
    actor: Actor,
    at: datetime,
) -> BgpPeer:
    """Create an expected session: its absence counts as down. Raises NameTaken, ValidationError."""
    peer = BgpPeer(
        device=device,
        remote_address=remote_address,
        remote_as=remote_as,
        name=name,
        local_as=local_as,
    )
    with transaction.atomic():
        save_new(peer, actor=actor, at=at)
        ensure_alias(peer)
    return peer


def create_ospf_neighbor(
    *,
    device: Device,
    router_id: str,
    area: str = "",
    address: str = "",
    interface_name: str = "",
    actor: Actor,
    at: datetime,
) -> OspfNeighbor:
    """Create an expected adjacency: its absence counts as down. Raises NameTaken, ValidationError."""
    neighbor = OspfNeighbor(
        device=device,
        router_id=router_id,
        area=area,
        address=address,
        interface_name=interface_name,
    )
    with transaction.atomic():
        save_new(neighbor, actor=actor, at=at)
        ensure_alias(neighbor)
    return neighbor


def delete_discovered(
    *, row: Interface | BgpPeer | OspfNeighbor, actor: Actor, at: datetime
) -> None:
    """Delete a discovered entity; it is created again when an agent reports it."""
    delete_row(row, actor=actor, at=at)


def wire_id_of(row: Interface | BgpPeer | OspfNeighbor | Service) -> UUID | None:
    """The id that agents report for it; None for entities that agents do not report."""
    if row.device_id is None:
        return None
    match row:
        case Interface():
            return interface_id(row.device_id, row.name)
        case BgpPeer():
            return bgp_peer_id(row.device_id, row.name, row.remote_address, str(row.remote_as))
        case OspfNeighbor():
            return ospf_neighbor_id(row.device_id, row.router_id, row.area, row.address)
    if row.kind == ServiceKind.PPPOE:
        return pppoe_service_id(row.device_id, row.name)
    return None


_TYPES = {
    Interface: EntityType.INTERFACE,
    BgpPeer: EntityType.BGP_PEER,
    OspfNeighbor: EntityType.OSPF_NEIGHBOR,
    Service: EntityType.SERVICE,
}


def ensure_alias(row: Interface | BgpPeer | OspfNeighbor | Service) -> None:
    """Map the wire id of the row's natural key to this row. Idempotent: an existing alias is unchanged."""
    wire_id = wire_id_of(row)
    if wire_id is not None and row.device_id is not None:
        EntityAlias.objects.get_or_create(
            wire_id=wire_id,
            defaults={
                "device_id": row.device_id,
                "entity_type": _TYPES[type(row)],
                "entity_id": row.id,
            },
        )
