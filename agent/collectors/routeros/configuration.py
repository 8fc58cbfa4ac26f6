"""What a router's configuration is, as one fingerprint per category: enough to see that it changed, too little to say
what any secret is.

Only the keys that are listed here are asked for, and the router sends no others; menus and keys that may hold secrets
(``password``, ``secret``, ``authentication-key``, scripts) are not listed. Whole tables that grow with subscribers
(address lists, leases, routes) are left out: they change by themselves.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from agent.collectors.routeros.session import RouterSession, Row

#: Category -> menu -> the keys that count.
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
#: The generation that a menu is of; a router is not asked for what it cannot have.
_ONLY = {"/routing/bgp/connection": 7, "/routing/bgp/peer": 6}
#: Rows that the router made by itself are no configuration. `?#!` negates; where the key is missing it is false.
_NOT_DYNAMIC = ("?dynamic=true", "?#!")
_HISTORY = ("action", "by", "time")
_LENGTH = 16


def read_history(session: RouterSession) -> str | None:
    """A fingerprint of what people did lately: a cheap sign that it is worth looking. Raises Gone."""
    rows = session.print("/system/history", _HISTORY)
    return None if rows is None else digest([canonical(rows, _HISTORY)])


def read_configuration(session: RouterSession, generation: int | None) -> dict[str, str]:
    """Each category's fingerprint; those of which no menu can be read are absent. Raises Gone.

    ``generation`` is 6 or 7; None asks for everything.
    """
    found: dict[str, str] = {}
    for category, menus in CATEGORIES.items():
        parts = []
        for menu, keys in menus.items():
            if generation is not None and _ONLY.get(menu, generation) != generation:
                continue
            rows = session.print(menu, keys, _NOT_DYNAMIC)
            if rows is not None:
                parts.append(f"{menu}\n{canonical(rows, keys)}")
        if parts:
            found[category] = digest(parts)
    return found


def canonical(rows: Iterable[Row], keys: Sequence[str]) -> str:
    """Rows as text in the router's order, which counts in a firewall; only the listed keys."""
    return "\n".join("\t".join(f"{key}={row[key]}" for key in keys if key in row) for row in rows)


def digest(parts: Iterable[str]) -> str:
    """A short SHA-256."""
    return hashlib.sha256("\n\n".join(parts).encode()).hexdigest()[:_LENGTH]
