"""Wire ids of discovered entities: known without a round trip, the same from every agent.

UUIDv5 in the namespace of the parent device's id, over ``kind|field|field`` in UTF-8. The server maps a wire
id to its own entity, so a rename or an operator-made entity keeps its history.
"""

from uuid import UUID, uuid5


def wire_id(device_id: UUID, *fields: str) -> UUID:
    """The id of the entity that these fields name on this device."""
    return uuid5(device_id, "|".join(fields))


def interface_id(device_id: UUID, name: str) -> UUID:
    """An interface, by the name the router gives it."""
    return wire_id(device_id, "interface", name)


def bgp_peer_id(device_id: UUID, name: str, remote_address: str, remote_as: str) -> UUID:
    """A BGP session, by its connection's name; unnamed ones by remote address and AS."""
    if name:
        return wire_id(device_id, "bgp_peer", name)
    return wire_id(device_id, "bgp_peer", remote_address, remote_as)


def ospf_neighbor_id(device_id: UUID, router_id: str, area: str, address: str) -> UUID:
    """An OSPF adjacency. Parallel links share a router id, so the neighbour's address is part of it."""
    return wire_id(device_id, "ospf_neighbor", router_id, area, address)


def pppoe_service_id(device_id: UUID, service_name: str) -> UUID:
    """The PPPoE service that a concentrator offers."""
    return wire_id(device_id, "service", "pppoe", service_name)
