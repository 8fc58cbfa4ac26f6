"""Fingerprints of a router's configuration, one per category: they reveal that it changed, and no secret.

Only the keys that are listed here are requested, and the router sends no others; menus and keys that may hold secrets
(``password``, ``secret``, ``authentication-key``, scripts) are not listed. Tables that grow with subscribers (address
lists, leases, routes) are left out: they change by themselves.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from agent.collectors.routeros.session import RouterSession, Row

#: Category -> menu -> the keys of the fingerprint.
CATEGORIES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "interfaces": {
        "/interface": ("name", "type", "disabled", "comment"),
        "/interface/vlan": ("name", "vlan-id", "interface", "disabled"),
    },
    "addresses": {
        "/ip/address": ("address", "interface", "disabled"),
        "/ip/pool": ("name", "ranges"),
    },
    "firewall": {
        f"/ip/firewall/{table}": (
            *("chain", "action", "src-address", "dst-address", "src-address-list"),
            *("dst-address-list", "in-interface", "out-interface", "in-interface-list"),
            *("protocol", "src-port", "dst-port", "connection-state", "jump-target"),
            *("to-addresses", "to-ports", "disabled", "comment"),
        )
        for table in ("filter", "nat", "mangle", "raw")
    },
    "routing": {
        "/routing/bgp/connection": (
            *("name", "as", "templates", "local.address", "local.role"),
            *("remote.address", "remote.as", "disabled"),
        ),
        "/routing/bgp/peer": ("name", "instance", "remote-address", "remote-as", "disabled"),
        "/routing/bgp/instance": ("name", "as", "router-id", "disabled"),
        "/routing/ospf/instance": ("name", "router-id", "disabled", "version"),
        "/routing/ospf/area": ("name", "area-id", "instance", "disabled"),
    },
    "services": {
        "/ip/service": ("name", "port", "address", "disabled"),
        "/interface/pppoe-server/server": ("service-name", "interface", "disabled"),
    },
    "system": {"/system/identity": ("name",)},
}
#: Menus that exist in one major version of RouterOS only.
_ONLY_IN_VERSION = {"/routing/bgp/connection": 7, "/routing/bgp/peer": 6}
#: Dynamic rows are created by the router and are no configuration. `?#!` negates; where the key is missing it is false.
_NOT_DYNAMIC = ("?dynamic=true", "?#!")
_HISTORY = ("action", "by", "time")
_LENGTH = 16


def read_history(session: RouterSession) -> str | None:
    """A fingerprint of the latest changes, to decide whether to read the configuration. Raises ConnectionFailed."""
    rows = session.print("/system/history", _HISTORY)
    return None if rows is None else digest([canonical(rows, _HISTORY)])


def read_configuration(session: RouterSession, major_version: int | None) -> dict[str, str]:
    """The fingerprint of each category; categories without a readable menu are absent. Raises ConnectionFailed.

    ``major_version`` is 6 or 7; None reads every menu.
    """
    fingerprints: dict[str, str] = {}
    for category, menus in CATEGORIES.items():
        parts = []
        for menu, keys in menus.items():
            if (
                major_version is not None
                and _ONLY_IN_VERSION.get(menu, major_version) != major_version
            ):
                continue
            rows = session.print(menu, keys, _NOT_DYNAMIC)
            if rows is not None:
                parts.append(f"{menu}\n{canonical(rows, keys)}")
        if parts:
            fingerprints[category] = digest(parts)
    return fingerprints


def canonical(rows: Iterable[Row], keys: Sequence[str]) -> str:
    """Rows as text with only these keys, in the router's order, which matters in a firewall."""
    return "\n".join("\t".join(f"{key}={row[key]}" for key in keys if key in row) for row in rows)


def digest(parts: Iterable[str]) -> str:
    """A short SHA-256."""
    return hashlib.sha256("\n\n".join(parts).encode()).hexdigest()[:_LENGTH]
