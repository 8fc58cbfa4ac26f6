"""Classification of IP addresses by explicit tables.

``ipaddress.is_global`` is not sufficient: it treats 6to4, NAT64 and some metadata addresses as public, and it
differs between Python versions. Addresses that are not classified as public here are denied.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

Address = IPv4Address | IPv6Address


class Kind(StrEnum):
    """Kinds of addresses for the egress policy."""

    PUBLIC = "public"
    # The operator's allow-list may allow these three.
    LOOPBACK = "loopback"
    PRIVATE = "private"
    TRANSLATED = "translated"  # NAT64 of a public address, for IPv6-only networks
    # These two are always denied.
    METADATA = "metadata"
    SPECIAL = "special"


ALLOWED_BY_OPERATOR = frozenset({Kind.LOOPBACK, Kind.PRIVATE, Kind.TRANSLATED})


@dataclass(frozen=True)
class AddressClass:
    """The kind and a description of the matching range."""

    kind: Kind
    reason: str


PUBLIC = AddressClass(Kind.PUBLIC, "public")
OUTSIDE = AddressClass(Kind.SPECIAL, "not global unicast")

# Cloud metadata addresses outside of link-local (denied entirely); some are in public or private ranges.
METADATA = frozenset(
    ip_address(text)
    for text in (
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's wire server, a public address
        "192.0.0.192",  # Oracle, older
        "169.254.169.254",
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS, EKS pod identity
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
        "fd00:a9fe:a9fe::254",
    )
)

_V4 = tuple(
    (IPv4Network(text), AddressClass(kind, reason))
    for text, kind, reason in (
        ("0.0.0.0/8", Kind.SPECIAL, "this network, unspecified"),
        ("10.0.0.0/8", Kind.PRIVATE, "private (RFC 1918)"),
        ("100.64.0.0/10", Kind.PRIVATE, "shared address space (RFC 6598)"),
        ("127.0.0.0/8", Kind.LOOPBACK, "loopback"),
        ("169.254.0.0/16", Kind.METADATA, "link-local, cloud metadata"),
        ("172.16.0.0/12", Kind.PRIVATE, "private (RFC 1918)"),
        ("192.0.0.0/24", Kind.SPECIAL, "IETF protocol assignments"),
        ("192.0.2.0/24", Kind.SPECIAL, "documentation"),
        ("192.31.196.0/24", Kind.SPECIAL, "AS112"),
        ("192.52.193.0/24", Kind.SPECIAL, "AMT"),
        ("192.88.99.0/24", Kind.SPECIAL, "6to4 relay"),
        ("192.168.0.0/16", Kind.PRIVATE, "private (RFC 1918)"),
        ("192.175.48.0/24", Kind.SPECIAL, "AS112"),
        ("198.18.0.0/15", Kind.SPECIAL, "benchmarking"),
        ("198.51.100.0/24", Kind.SPECIAL, "documentation"),
        ("203.0.113.0/24", Kind.SPECIAL, "documentation"),
        ("224.0.0.0/4", Kind.SPECIAL, "multicast"),
        ("240.0.0.0/4", Kind.SPECIAL, "reserved, broadcast"),
    )
)

_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")

# Ranges inside 2000::/3, and others listed only for the description.
_V6 = (
    (IPv6Network("::1/128"), AddressClass(Kind.LOOPBACK, "loopback")),
    (IPv6Network("fc00::/7"), AddressClass(Kind.PRIVATE, "unique local (RFC 4193)")),
    *(
        (IPv6Network(text), AddressClass(Kind.SPECIAL, reason))
        for text, reason in (
            ("::/128", "unspecified"),
            ("::ffff:0:0/96", "IPv4-mapped"),
            ("::ffff:0:0:0/96", "IPv4-translated"),
            ("::/96", "IPv4-compatible"),
            ("64:ff9b:1::/48", "local-use NAT64"),
            ("100::/64", "discard"),
            ("2001::/32", "Teredo"),
            ("2001::/23", "IETF protocol assignments"),
            ("2001:db8::/32", "documentation"),
            ("2002::/16", "6to4"),
            ("2620:4f:8000::/48", "AS112"),
            ("3ffe::/16", "6bone"),
            ("3fff::/20", "documentation"),
            ("fe80::/10", "link-local"),
            ("fec0::/10", "site-local"),
            ("ff00::/8", "multicast"),
        )
    ),
)

_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})


def classify(address: Address) -> AddressClass:
    """The kind of an address."""
    if address in METADATA:
        return AddressClass(Kind.METADATA, "cloud metadata")
    if isinstance(address, IPv4Address):
        return _first(_V4, address) or PUBLIC
    return _classify_v6(address)


def _first(
    table: Iterable[tuple[IPv4Network, AddressClass]], address: IPv4Address
) -> AddressClass | None:
    return next((kind for network, kind in table if address in network), None)


def _classify_v6(address: IPv6Address) -> AddressClass:
    if address in _NAT64:
        return _classify_nat64(IPv4Address(int(address) & 0xFFFF_FFFF))
    for network, address_class in _V6:
        if address in network:
            return address_class
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return AddressClass(Kind.SPECIAL, "ISATAP")
    return PUBLIC if address in _GLOBAL_UNICAST else OUTSIDE


def _classify_nat64(inner: IPv4Address) -> AddressClass:
    embedded = classify(inner)
    if embedded.kind is Kind.PUBLIC:
        return AddressClass(Kind.TRANSLATED, "NAT64")
    kind = Kind.METADATA if embedded.kind is Kind.METADATA else Kind.SPECIAL
    return AddressClass(kind, f"NAT64 of {embedded.reason}")
