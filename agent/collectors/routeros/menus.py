"""The menus that are read, and how their rows are understood. Every quirk of RouterOS is here."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from agent.collectors.routeros.session import RouterSession, Row
from agent.collectors.routeros.values import as_number, boolean, duration, flag, host, number, whole
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
# Each subscriber has an interface of its own; they are thousands and not ports. `?#!` negates, a missing key is false.
_NOT_DYNAMIC = ("?dynamic=true", "?#!")
_SESSION_NUMBER = re.compile(r"-\d+$")
_RUNNING = frozenset({"full", "2-way", "twoway"})
_RESOURCE = (
    *("uptime", "version", "cpu-load", "free-memory", "total-memory"),
    *("free-hdd-space", "total-hdd-space", "board-name"),
)
_PEER_V6 = (
    *("name", "remote-address", "remote-as", "state", "established"),
    *("uptime", "prefix-count", "disabled"),
)


def read_device(session: RouterSession, *, with_facts: bool) -> DeviceReading:
    """Load and uptime; with ``with_facts`` also name, serial and model, which hardly ever change. Raises Gone."""
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


def generation_of(version: str | None) -> int | None:
    """6 or 7: which menus there are. None where the router did not say."""
    return whole((version or "").partition(".")[0])


def resource_values(row: Row, *, with_disk: bool) -> dict[str, float]:
    """The device's metrics in /system/resource."""
    said: dict[str, float | None] = {
        "device.uptime_seconds": duration(row.get("uptime")),
        "device.cpu_pct": number(row.get("cpu-load")),
        "device.mem_total_bytes": whole(row.get("total-memory")),
        "device.mem_used_bytes": _used(row.get("total-memory"), row.get("free-memory")),
    }
    if with_disk:
        said["device.disk_total_bytes"] = whole(row.get("total-hdd-space"))
        said["device.disk_used_bytes"] = _used(
            row.get("total-hdd-space"), row.get("free-hdd-space")
        )
    return {metric: value for metric, value in said.items() if value is not None}


def read_interfaces(
    session: RouterSession, *, with_counters: bool
) -> list[InterfaceReading] | None:
    """All ports but the subscribers' own. `print` gives counters without `stats`. Raises Gone."""
    wanted = (*_INTERFACE, *_COUNTERS) if with_counters else _INTERFACE
    rows = session.print("/interface", wanted, _NOT_DYNAMIC)
    return None if rows is None else list(interfaces_of(rows))


def interfaces_of(rows: Iterable[Row]) -> Iterable[InterfaceReading]:
    """Rows of /interface. ``running`` and ``disabled`` are always there; where not, they are unknown."""
    for row in rows:
        name = row.get("name", "")
        if not name or name.startswith("<") or flag(row.get("dynamic")):
            continue
        counted = ((metric, whole(row.get(key))) for key, metric in _COUNTERS.items())
        yield InterfaceReading(
            name=name,
            type=row.get("type", ""),
            is_running=boolean(row.get("running")),
            is_disabled=boolean(row.get("disabled")),
            mac_address=row.get("mac-address"),
            comment=row.get("comment"),
            mtu=whole(row.get("actual-mtu")),
            counters={metric: value for metric, value in counted if value is not None},
        )


def read_ospf(session: RouterSession) -> list[OspfReading] | None:
    """Adjacencies. A neighbour whose interface went down has no row at all. Raises Gone."""
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
            # On a broadcast network two routers that are neither DR nor BDR stay in 2-Way, and that is right.
            is_up=state.lower() in _RUNNING,
            interface=row.get("interface"),
            instance=row.get("instance"),
            uptime_seconds=duration(row.get("adjacency")),
            state_changes=whole(row.get("state-changes")),
        )


def read_ospf_areas(session: RouterSession) -> list[OspfArea] | None:
    """On v6 an interface is in the area of the network that its address lies in. Raises Gone."""
    rows = session.print("/routing/ospf/network", ("network", "area", "disabled"))
    return None if rows is None else list(areas_of(rows))


def areas_of(rows: Iterable[Row]) -> Iterable[OspfArea]:
    """Rows of v6's /routing/ospf/network."""
    for row in rows:
        if flag(row.get("disabled")) or not row.get("area"):
            continue
        with suppress(ValueError):
            yield ip_network(row.get("network", ""), strict=False), row["area"]


def in_areas(rows: Iterable[OspfReading], areas: Sequence[OspfArea]) -> list[OspfReading]:
    """v6 names no area: it is that of the smallest network around the neighbour."""
    return [row if row.area else replace(row, area=_area_of(row.address, areas)) for row in rows]


def _area_of(address: str, areas: Sequence[OspfArea]) -> str:
    try:
        there = ip_address(address)
    except ValueError:
        return ""
    around = [(network.prefixlen, area) for network, area in areas if there in network]
    return max(around, default=(0, ""))[1]


def read_bgp(session: RouterSession, generation: int | None = None) -> list[BgpReading] | None:
    """Peers of v7 (connections joined with sessions) or v6; an unknown generation tries both. Raises Gone."""
    connections = None
    if generation != V6:
        connections = session.print("/routing/bgp/connection")
    if connections is None:
        peers = session.print("/routing/bgp/peer", _PEER_V6)
        return None if peers is None else list(bgp_v6_of(peers))
    sessions = session.print("/routing/bgp/session")
    return None if sessions is None else list(bgp_of(connections, sessions))


def bgp_of(connections: Iterable[Row], sessions: Iterable[Row]) -> Iterable[BgpReading]:
    """A peer that never connected has no session row; one that went down keeps it, with stale prefixes."""
    found: dict[str, list[Row]] = {}
    configured = {row["name"]: row for row in connections if row.get("name")}
    for row in sessions:
        found.setdefault(_connection_name(row.get("name", ""), configured), []).append(row)
    for name, connection in configured.items():
        mine = found.pop(name, [])
        if _takes_many(connection):
            yield from (_peer(row.get("name", name), connection, row) for row in mine)
        else:
            # Should there be two, the established one speaks.
            mine.sort(key=lambda row: not flag(row.get("established")))
            yield _peer(name, connection, mine[0] if mine else {})
    for name, rows in found.items():
        yield from (_peer(name, {}, row) for row in rows[:1])


def _connection_name(session_name: str, configured: Mapping[str, Row]) -> str:
    if session_name in configured:
        return session_name
    return _SESSION_NUMBER.sub("", session_name)


def _takes_many(connection: Row) -> bool:
    """A connection to a whole network listens for any number of peers."""
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
        # What a session that is down says of its prefixes is from before.
        prefixes_in=whole(session.get("prefix-count")) if is_up else None,
    )


def bgp_v6_of(rows: Iterable[Row]) -> Iterable[BgpReading]:
    """Rows of v6's /routing/bgp/peer; what follows ``state`` is absent while it is not established."""
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
            prefixes_in=whole(row.get("prefix-count")) if is_up else None,
        )


def read_services(session: RouterSession) -> list[ServiceReading] | None:
    """PPPoE services with their sessions, counted by the router and never listed. Raises Gone."""
    servers = session.print("/interface/pppoe-server/server", ("service-name", "disabled"))
    if servers is None:
        return None
    names = sorted({row["service-name"] for row in servers if row.get("service-name")})
    if len(names) == 1:
        return [ServiceReading(names[0], session.count("/ppp/active", ("?service=pppoe",)))]
    # /ppp/active does not say which of several services a session came in by; the servers' sessions do.
    return [
        ServiceReading(name, session.count("/interface/pppoe-server", (f"?service={name}",)))
        for name in names
    ]


def _first(rows: list[Row] | None) -> Row:
    return rows[0] if rows else {}


def _used(total: str | None, free: str | None) -> float | None:
    all_of_it, rest = whole(total), whole(free)
    if all_of_it is None or rest is None or rest > all_of_it:
        return None
    return float(all_of_it - rest)
