"""Who may read the numbers: this host, and the networks that the operator named. Pure."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def may_read(peer: str, allowed: Iterable[Network]) -> bool:
    """Whether the address at the other end of the connection may; a header never decides."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:  # a unix socket has no address: whoever speaks there is a proxy
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback or any(address in network for network in allowed)
