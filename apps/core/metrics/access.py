"""Access to metrics: from this host and from allowed networks. Pure."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def is_allowed(peer: str, allowed: Iterable[Network]) -> bool:
    """Whether the peer address of the connection may read metrics; headers are ignored."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:  # a unix socket has no address: the peer is a proxy
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback or any(address in network for network in allowed)
