"""Ids and inventory items of the entities of a device. Pure."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from agent.normalize.readings import (
    BgpReading,
    DeviceReading,
    InterfaceReading,
    OspfReading,
    Reading,
    ServiceReading,
)
from agent.protocol.ids import bgp_peer_id, interface_id, ospf_neighbor_id, pppoe_service_id

Item = dict[str, Any]


def interface_entity_id(device_id: UUID, row: InterfaceReading) -> str:
    return str(interface_id(device_id, row.name))


def ospf_entity_id(device_id: UUID, row: OspfReading) -> str:
    return str(ospf_neighbor_id(device_id, row.router_id, row.area, row.address))


def bgp_entity_id(device_id: UUID, row: BgpReading) -> str:
    return str(bgp_peer_id(device_id, row.name, row.remote_address, str(row.remote_as or 0)))


def service_entity_id(device_id: UUID, row: ServiceReading) -> str:
    return str(pppoe_service_id(device_id, row.name))


def has_entity(peer: BgpReading) -> bool:
    """Whether a session has an entity: not without the address of its peer. One whose AS is not configured has one: the
    AS is known when it comes up."""
    return bool(peer.remote_address)


def items_of(device_id: UUID, reading: Reading) -> Iterator[tuple[str, Item]]:
    """Every entity of a reading as (section, item) of an inventory patch."""
    if reading.device is not None:
        yield "devices", _device(device_id, reading.device)
    for interface in reading.interfaces or ():
        yield "interfaces", _interface(device_id, interface)
    for neighbor in reading.ospf or ():
        yield "ospf_neighbors", _ospf(device_id, neighbor)
    for peer in reading.bgp or ():
        if has_entity(peer):
            yield "bgp_peers", _bgp(device_id, peer)
    for service in reading.services or ():
        item = {"id": service_entity_id(device_id, service), "device_id": str(device_id)}
        yield "services", {**item, "kind": "pppoe", "name": service.name}


class InventoryCache:
    """Inventory of one device as last sent to the server: only new and changed items are sent again."""

    def __init__(self) -> None:
        self._sent: dict[tuple[str, str], Item] = {}
        self._credential_set: str | None = None
        self._certificate: str | None = None

    def set_credential_set(self, credential_set: str) -> None:
        """The credential set whose login the router accepted."""
        self._credential_set = credential_set

    def set_certificate(self, certificate: str) -> None:
        """The TLS certificate of the router at the login; empty without TLS."""
        self._certificate = certificate or None

    def reset(self) -> None:
        """Send every item again."""
        self._sent = {}

    def diff(self, device_id: UUID, reading: Reading) -> dict[str, list[Item]]:
        """The inventory patch: the items that differ from those last sent."""
        patch: dict[str, list[Item]] = {}
        for section, item in items_of(device_id, reading):
            key = (section, item["id"])
            if section == "devices":
                item["credential_set"] = self._credential_set
                item["certificate"] = self._certificate
            known = self._sent.get(key, {})
            # A field that was not read this time is no change.
            merged = {**known, **{name: value for name, value in item.items() if value is not None}}
            if merged != known:
                self._sent[key] = merged
                patch.setdefault(section, []).append(merged)
        return patch


def _device(device_id: UUID, row: DeviceReading) -> Item:
    return {
        "id": str(device_id),
        "identity": _truncate(row.identity, 200),
        "version": _truncate(row.version, 100),
        "board_name": _truncate(row.board_name, 100),
        "serial": _truncate(row.serial, 100),
        "model": _truncate(row.model, 100),
    }


def _interface(device_id: UUID, row: InterfaceReading) -> Item:
    return {
        "id": interface_entity_id(device_id, row),
        "device_id": str(device_id),
        "name": row.name,
        "type": row.type[:50],
        "disabled": row.is_disabled,
        "mac_address": _truncate(row.mac_address, 17),
        "comment": _truncate(row.comment, 500),
        "mtu": row.mtu,
    }


def _ospf(device_id: UUID, row: OspfReading) -> Item:
    return {
        "id": ospf_entity_id(device_id, row),
        "device_id": str(device_id),
        "router_id": row.router_id,
        "area": row.area,
        "address": row.address,
        "interface": _truncate(row.interface, 100),
        "instance": _truncate(row.instance, 100),
    }


def _bgp(device_id: UUID, row: BgpReading) -> Item:
    return {
        "id": bgp_entity_id(device_id, row),
        "device_id": str(device_id),
        "name": row.name,
        "remote_address": row.remote_address,
        "remote_as": row.remote_as or 0,
        "local_as": row.local_as,
        "disabled": row.is_disabled,
    }


def _truncate(text: str | None, length: int) -> str | None:
    return None if text is None else text[:length]
