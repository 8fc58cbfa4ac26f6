"""Protocol ids of discovered entities: computed without a round trip, the same on every agent.

UUIDv5 in the namespace of the parent device's id, over ``kind|field|field`` in UTF-8. The server maps a protocol id
to its own entity, so that an entity keeps its history when it is renamed or was created by an operator.
"""

from uuid import UUID, uuid5


def protocol_id(device_id: UUID, *fields: str) -> UUID:
    """The id of the entity of this device that the fields identify."""
    return uuid5(device_id, "|".join(fields))


def interface_id(device_id: UUID, name: str) -> UUID:
    """An interface, by the name the router gives it."""
    return protocol_id(device_id, "interface", name)


def bgp_peer_id(device_id: UUID, name: str, remote_address: str, remote_as: str) -> UUID:
    """A BGP session, by its connection's name; unnamed ones by remote address and AS."""
    if name:
        return protocol_id(device_id, "bgp_peer", name)
    return protocol_id(device_id, "bgp_peer", remote_address, remote_as)


def ospf_neighbor_id(device_id: UUID, router_id: str, area: str, address: str) -> UUID:
    """An OSPF adjacency. Parallel links share a router id, so the neighbor's address is part of the key."""
    return protocol_id(device_id, "ospf_neighbor", router_id, area, address)


def pppoe_service_id(device_id: UUID, service_name: str) -> UUID:
    """A PPPoE service of a concentrator."""
    return protocol_id(device_id, "service", "pppoe", service_name)
