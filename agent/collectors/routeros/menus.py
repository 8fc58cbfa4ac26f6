"""The menus that are read and the parsing of their rows, with the quirks of RouterOS."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from agent.collectors.routeros.session import RouterSession, Row
from agent.collectors.routeros.values import (
    as_number,
    boolean,
    duration,
    flag,
    host,
    integer,
    number,
)
from agent.normalize.readings import (
    BgpReading,
    DeviceReading,
    InterfaceReading,
    OspfReading,
    ServiceReading,
)

V6 = 6
OspfArea = tuple[IPv4Network | IPv6Network, str]

_INTERFACE = (
    "name",
    "type",
    "running",
    "disabled",
    "mac-address",
    "comment",
    "actual-mtu",
    "dynamic",
)
_COUNTERS: Mapping[str, str] = {
    "rx-byte": "interface.rx_bytes_total",
    "tx-byte": "interface.tx_bytes_total",
    "rx-packet": "interface.rx_packets_total",
    "tx-packet": "interface.tx_packets_total",
    "rx-error": "interface.rx_errors_total",
    "tx-error": "interface.tx_errors_total",
    "rx-drop": "interface.rx_discards_total",
    "tx-drop": "interface.tx_discards_total",
    "link-downs": "interface.link_downs_total",
}
# Each subscriber has a dynamic interface; there are thousands, and they are no ports. `?#!` negates, a missing key is
# false.
_NOT_DYNAMIC = ("?dynamic=true", "?#!")
_SESSION_NUMBER = re.compile(r"-\d+$")
#: RouterOS allows a PPPoE server without a service name.
UNNAMED_SERVICE = "pppoe"
_UP_STATES = frozenset({"full", "2-way", "twoway"})
_RESOURCE = (
    *("uptime", "version", "cpu-load", "free-memory", "total-memory"),
    *("free-hdd-space", "total-hdd-space", "board-name"),
)
_PEER_V6 = (
    *("name", "remote-address", "remote-as", "state", "established"),
    *("uptime", "prefix-count", "disabled"),
)


def read_device(session: RouterSession, *, with_facts: bool) -> DeviceReading:
    """Load and uptime; with ``with_facts`` also name, serial and model, which rarely change.

    Raises ConnectionFailed.
    """
    resource = _first(session.print("/system/resource", _RESOURCE))
    identity = _first(session.print("/system/identity")) if with_facts else {}
    board = _first(session.print("/system/routerboard")) if with_facts else {}
    return DeviceReading(
        identity=identity.get("name"),
        version=version_of(resource),
        board_name=resource.get("board-name"),
        serial=board.get("serial-number"),
        model=board.get("model"),
        values=resource_values(resource, with_disk=with_facts),
    )


def version_of(resource: Row) -> str | None:
    """``7.12.2 (stable)`` is version 7.12.2."""
    return resource["version"].partition(" ")[0] if resource.get("version") else None


def major_version_of(version: str | None) -> int | None:
    """6 or 7, which decides the menus. None when the router reports no version."""
    return integer((version or "").partition(".")[0])


def resource_values(row: Row, *, with_disk: bool) -> dict[str, float]:
    """The device's metrics in /system/resource."""
    values: dict[str, float | None] = {
        "device.uptime_seconds": duration(row.get("uptime")),
        "device.cpu_pct": number(row.get("cpu-load")),
        "device.mem_total_bytes": integer(row.get("total-memory")),
        "device.mem_used_bytes": _used(row.get("total-memory"), row.get("free-memory")),
    }
    if with_disk:
        values["device.disk_total_bytes"] = integer(row.get("total-hdd-space"))
        values["device.disk_used_bytes"] = _used(
            row.get("total-hdd-space"), row.get("free-hdd-space")
        )
    return {metric: value for metric, value in values.items() if value is not None}


def read_interfaces(
    session: RouterSession, *, with_counters: bool
) -> list[InterfaceReading] | None:
    """All interfaces but those of subscribers. `print` returns counters without `stats`. Raises ConnectionFailed."""
    proplist = (*_INTERFACE, *_COUNTERS) if with_counters else _INTERFACE
    rows = session.print("/interface", proplist, _NOT_DYNAMIC)
    return None if rows is None else list(interfaces_of(rows))


def interfaces_of(rows: Iterable[Row]) -> Iterable[InterfaceReading]:
    """Rows of /interface. A missing ``running`` or ``disabled`` is unknown, not false."""
    for row in rows:
        name = row.get("name", "")
        if not name or name.startswith("<") or flag(row.get("dynamic")):
            continue
        counters = ((metric, integer(row.get(key))) for key, metric in _COUNTERS.items())
        yield InterfaceReading(
            name=name,
            type=row.get("type", ""),
            is_running=boolean(row.get("running")),
            is_disabled=boolean(row.get("disabled")),
            mac_address=row.get("mac-address"),
            comment=row.get("comment"),
            mtu=integer(row.get("actual-mtu")),
            counters={metric: value for metric, value in counters if value is not None},
        )


def read_ospf(session: RouterSession) -> list[OspfReading] | None:
    """Adjacencies. A neighbor whose interface is down has no row. Raises ConnectionFailed."""
    rows = session.print("/routing/ospf/neighbor")
    return None if rows is None else list(ospf_of(rows))


def ospf_of(rows: Iterable[Row]) -> Iterable[OspfReading]:
    """Rows of /routing/ospf/neighbor; v6 has no area, v7 on point-to-point no interface."""
    for row in rows:
        if not row.get("router-id"):
            continue
        state = row.get("state", "")
        yield OspfReading(
            router_id=row["router-id"],
            area=row.get("area", ""),
            address=host(row.get("address")),
            state=state or "unknown",
            # On a broadcast network two routers that are neither DR nor BDR stay in 2-Way: that counts as up.
            is_up=state.lower() in _UP_STATES,
            interface=row.get("interface"),
            instance=row.get("instance"),
            uptime_seconds=duration(row.get("adjacency")),
            state_changes=integer(row.get("state-changes")),
        )


def read_ospf_areas(session: RouterSession) -> list[OspfArea] | None:
    """v6: networks with their area; an interface belongs to the area of the network of its address.

    Raises ConnectionFailed.
    """
    rows = session.print("/routing/ospf/network", ("network", "area", "disabled"))
    return None if rows is None else list(areas_of(rows))


def areas_of(rows: Iterable[Row]) -> Iterable[OspfArea]:
    """Rows of v6's /routing/ospf/network."""
    for row in rows:
        if flag(row.get("disabled")) or not row.get("area"):
            continue
        with suppress(ValueError):
            yield ip_network(row.get("network", ""), strict=False), row["area"]


def with_areas(rows: Iterable[OspfReading], areas: Sequence[OspfArea]) -> list[OspfReading]:
    """v6 reports no area: it is that of the longest matching network of the neighbor's address."""
    return [row if row.area else replace(row, area=_area_of(row.address, areas)) for row in rows]


def _area_of(address: str, areas: Sequence[OspfArea]) -> str:
    try:
        neighbor = ip_address(address)
    except ValueError:
        return ""
    matching = [(network.prefixlen, area) for network, area in areas if neighbor in network]
    return max(matching, default=(0, ""))[1]


def read_bgp(session: RouterSession, major_version: int | None = None) -> list[BgpReading] | None:
    """Peers of v7 (connections joined with sessions) or v6; with an unknown version both are tried.

    Raises ConnectionFailed.
    """
    connections = None
    if major_version != V6:
        connections = session.print("/routing/bgp/connection")
    if connections is None:
        peers = session.print("/routing/bgp/peer", _PEER_V6)
        return None if peers is None else list(bgp_v6_of(peers))
    sessions = session.print("/routing/bgp/session")
    return None if sessions is None else list(bgp_of(connections, sessions))


def bgp_of(connections: Iterable[Row], sessions: Iterable[Row]) -> Iterable[BgpReading]:
    """A peer that never connected has no session row; one that went down keeps its row, with stale prefixes."""
    sessions_of: dict[str, list[Row]] = {}
    configured = {row["name"]: row for row in connections if row.get("name")}
    for row in sessions:
        sessions_of.setdefault(_connection_name(row.get("name", ""), configured), []).append(row)
    for name, connection in configured.items():
        own_sessions = sessions_of.pop(name, [])
        if _is_dynamic_listener(connection):
            yield from (_peer(row.get("name", name), connection, row) for row in own_sessions)
        else:
            # If there are two sessions, the established one counts.
            own_sessions.sort(key=lambda row: not flag(row.get("established")))
            yield _peer(name, connection, own_sessions[0] if own_sessions else {})
    for name, rows in sessions_of.items():
        yield from (_peer(name, {}, row) for row in rows[:1])


def _connection_name(session_name: str, configured: Mapping[str, Row]) -> str:
    if session_name in configured:
        return session_name
    return _SESSION_NUMBER.sub("", session_name)


def _is_dynamic_listener(connection: Row) -> bool:
    """A connection whose remote address is a network accepts any number of peers."""
    address, _, prefix = connection.get("remote.address", "").partition("/")
    return bool(prefix) and prefix != ("128" if ":" in address else "32")


def _peer(name: str, connection: Row, session: Row) -> BgpReading:
    is_up = flag(session.get("established"))
    is_disabled = boolean(connection.get("disabled"))
    state = "established" if is_up else "disabled" if is_disabled else "down"
    return BgpReading(
        name=name,
        remote_address=host(session.get("remote.address") or connection.get("remote.address")),
        remote_as=as_number(session.get("remote.as") or connection.get("remote.as")),
        state=state,
        is_up=is_up,
        local_as=as_number(session.get("local.as") or connection.get("as")),
        is_disabled=is_disabled,
        uptime_seconds=duration(session.get("uptime")) if is_up else None,
        # The prefix count of a session that is down is stale.
        prefixes_in=integer(session.get("prefix-count")) if is_up else None,
    )


def bgp_v6_of(rows: Iterable[Row]) -> Iterable[BgpReading]:
    """Rows of v6's /routing/bgp/peer; the fields after ``state`` are absent while it is not established."""
    for row in rows:
        state = row.get("state") or ("established" if flag(row.get("established")) else "down")
        is_up = state == "established"
        yield BgpReading(
            name=row.get("name", ""),
            remote_address=host(row.get("remote-address")),
            remote_as=as_number(row.get("remote-as")),
            state=state,
            is_up=is_up,
            is_disabled=boolean(row.get("disabled")),
            uptime_seconds=duration(row.get("uptime")) if is_up else None,
            prefixes_in=integer(row.get("prefix-count")) if is_up else None,
        )


def read_services(session: RouterSession) -> list[ServiceReading] | None:
    """PPPoE services with session counts; the router counts, sessions are never listed. Raises ConnectionFailed."""
    servers = session.print("/interface/pppoe-server/server", ("service-name", "disabled"))
    if servers is None:
        return None
    # A server that is disabled serves nobody; one without a service name answers requests for any.
    names = sorted(
        {row.get("service-name", "") for row in servers if not boolean(row.get("disabled"))}
    )
    if len(names) == 1:
        sessions = session.count("/ppp/active", ("?service=pppoe",))
        return [ServiceReading(names[0] or UNNAMED_SERVICE, sessions)]
    # /ppp/active does not name the service of a session; /interface/pppoe-server does. A static binding is a row of it
    # even while it is down.
    return [
        ServiceReading(
            name or UNNAMED_SERVICE,
            session.count("/interface/pppoe-server", (f"?service={name}", "?running=true")),
        )
        for name in names
    ]


def _first(rows: list[Row] | None) -> Row:
    return rows[0] if rows else {}


def _used(total: str | None, free: str | None) -> float | None:
    total_bytes, free_bytes = integer(total), integer(free)
    if total_bytes is None or free_bytes is None or free_bytes > total_bytes:
        return None
    return float(total_bytes - free_bytes)
