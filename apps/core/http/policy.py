"""The egress policy: public addresses with TLS, and networks allowed by the operator.

The operator sets the allow-list (environment variable ``ISPVM_EGRESS_ALLOW``); tenants cannot change it.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Protocol
from urllib.parse import urlsplit

from django.conf import settings

from apps.core.http.addresses import ALLOWED_BY_OPERATOR, Address, Kind, classify
from apps.core.http.errors import AddressRefused
from apps.core.http.urls import DEFAULT_PORTS, Target, parse_url


class AllowEntry(Protocol):
    """An allowed network, on one port or (None) on all."""

    @property
    def network(self) -> IPv4Network | IPv6Network: ...
    @property
    def port(self) -> int | None: ...


@dataclass(frozen=True)
class Vetted:
    """An address that may be connected to; responses from private ones are not shown to tenants."""

    address: Address
    port: int
    is_private: bool


@dataclass(frozen=True)
class EgressPolicy:
    """The rules of an installation. ``own`` lists (host, port) of its own listeners and servers."""

    allow: tuple[AllowEntry, ...] = ()
    own: tuple[tuple[str, int], ...] = ()

    def vet_all(self, target: Target, addresses: Iterable[Address]) -> list[Vetted]:
        """Check every address of a host. Raises AddressRefused if any of them is denied."""
        return [self.vet(target, address) for address in addresses]

    def vet(self, target: Target, address: Address) -> Vetted:
        """Check one address. Raises AddressRefused with a stable code."""
        address_class = classify(address)
        if address_class.kind is Kind.METADATA:
            raise AddressRefused("address_metadata", f"{target.host}: {address_class.reason}.")
        if self._is_own(address, target.port):
            raise AddressRefused("address_own", f"{target.host} is this installation itself.")
        if address_class.kind is Kind.PUBLIC:
            self._require_tls(target)
            return Vetted(address, target.port, is_private=False)
        is_allowed = address_class.kind in ALLOWED_BY_OPERATOR and self._is_allowed(
            address, target.port
        )
        if not is_allowed:
            raise AddressRefused(
                "address_denied",
                f"{target.host} resolves to an address that is not public ({address_class.reason}). "
                "The operator can allow private networks in ISPVM_EGRESS_ALLOW.",
            )
        if address_class.kind is Kind.TRANSLATED:
            self._require_tls(target)
        return Vetted(address, target.port, is_private=address_class.kind is not Kind.TRANSLATED)

    def _require_tls(self, target: Target) -> None:
        if target.scheme != "https":
            raise AddressRefused("https_required", "Public addresses require https.")

    def _is_allowed(self, address: Address, port: int) -> bool:
        return any(
            entry.network.version == address.version
            and address in entry.network
            and entry.port in (None, port)
            for entry in self.allow
        )

    def _is_own(self, address: Address, port: int) -> bool:
        for host, own_port in self.own:
            # Own host names are resolved only if the port matches, to save queries.
            if own_port == port and any(_is_same_host(address, a) for a in _addresses_of(host)):
                return True
        return False


def _is_same_host(one: Address, other: Address) -> bool:
    return one == other or (one.is_loopback and (other.is_loopback or other.is_unspecified))


def _addresses_of(host: str) -> list[Address]:
    try:
        return [ip_address(host)]
    except ValueError:
        pass
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [ip_address(str(row[4][0]).partition("%")[0]) for row in rows]


def policy_of_installation() -> EgressPolicy:
    """The policy configured by the environment."""
    own: list[tuple[str, int]] = []
    for database in settings.DATABASES.values():
        host = str(database.get("HOST") or "")
        if host and not host.startswith("/"):
            own.append((host, int(str(database.get("PORT") or 5432))))
    for url, default in (
        (settings.ISPVM_REDIS_URL, 6379),
        (settings.ISPVM_PUBLIC_URL, 0),
        (settings.ISPVM_INGEST_URL, 0),
    ):
        parts = urlsplit(url)
        port = parts.port or default or DEFAULT_PORTS.get(parts.scheme, 0)
        if parts.hostname and port:
            own.append((parts.hostname, port))
    return EgressPolicy(allow=tuple(settings.ISPVM_EGRESS_ALLOW), own=tuple(own))


def check_url(url: str, policy: EgressPolicy) -> Target:
    """Check a configured URL as far as possible without DNS.

    Raises UrlRefused or AddressRefused. Host names are checked at each connection.
    """
    target = parse_url(url)
    if target.literal is not None:
        policy.vet(target, target.literal)
    return target
