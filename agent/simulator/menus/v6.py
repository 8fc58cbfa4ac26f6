"""Menus of RouterOS 6 that do not exist or differ in version 7."""

from collections.abc import Iterator
from ipaddress import ip_interface

from agent.simulator import seeded
from agent.simulator.menus.interfaces import ip_address as ip_address_v7
from agent.simulator.menus.interfaces import ip_service as ip_service_v7
from agent.simulator.menus.routing import AREA, CHANGES_PER_ADJACENCY, peers
from agent.simulator.menus.system import oscillate, supply
from agent.simulator.menus.view import Row, View
from agent.simulator.routeros import formats

INSTANCE = "default"
NO_ADDRESS = "0.0.0.0"  # noqa: S104  # nobody binds it: point-to-point elects no designated router
PACKAGES = ("routeros-arm", "system", "ipv6", "ppp", "routing", "security", "dhcp", "mpls")
ONLY_V7 = frozenset({"vrf", "slave", "proto", "max-sessions", "dynamic"})


def health(view: View) -> Iterator[Row]:
    """One flat row without an id; every sensor is a key of it."""
    celsius = oscillate(view, "temperature", low=38, high=52, period=7200)
    rpm = oscillate(view, "fan", low=3100, high=3600, period=1800)
    yield {
        "voltage": f"{oscillate(view, 'volts', low=23.6, high=24.2, period=600):.1f}",
        "temperature": str(int(celsius - 11)),
        "cpu-temperature": str(int(celsius)),
        "fan1-speed": str(int(rpm) // 30 * 30),
        "fan2-speed": str(int(rpm + 60) // 30 * 30),
        "psu1-state": supply(view)[1],
        "psu2-state": "ok",
    }


def package(view: View) -> Iterator[Row]:
    """Several packages, all of them installed."""
    release = view.release
    for number, name in enumerate(PACKAGES, start=1):
        yield {
            ".id": f"*{number:X}",
            "name": name,
            "version": release.version,
            "build-time": release.build_time,
            "scheduled": "",
            "disabled": "false",
        }


def ip_address(view: View) -> Iterator[Row]:
    return map(without_v7, ip_address_v7(view))


def ip_service(view: View) -> Iterator[Row]:
    return map(without_v7, ip_service_v7(view))


def without_v7(row: Row) -> Row:
    """v6 has no VRFs on services and addresses."""
    return {key: value for key, value in row.items() if key not in ONLY_V7}


def ospf_area(_view: View) -> Iterator[Row]:
    yield {
        ".id": "*1",
        "name": AREA,
        "area-id": "0.0.0.0",  # noqa: S104  (the backbone's id, no address)
        "instance": INSTANCE,
        "type": "default",
        "disabled": "false",
    }


def ospf_instance(view: View) -> Iterator[Row]:
    yield {
        ".id": "*1",
        "name": INSTANCE,
        "router-id": view.router.router_id,
        "distribute-default": "never",
        "redistribute-connected": "no",
        "redistribute-static": "no",
        "default": "true",
        "disabled": "false",
    }


def ospf_network(view: View) -> Iterator[Row]:
    """Networks with their area: an interface belongs to the area of the network that holds its address."""
    networks = [f"{view.router.router_id}/32"]
    networks += [f"{port.address}/{port.prefix_length}" for _, port in view.links]
    for number, network in enumerate(networks, start=1):
        yield {
            ".id": f"*{number:X}",
            "network": str(ip_interface(network).network),
            "area": AREA,
            "invalid": "false",
            "disabled": "false",
        }


def ospf_neighbor(view: View) -> Iterator[Row]:
    """With all counters, even if 0, and the interface; without the area.

    A neighbor whose link is down has no row.
    """
    for link, port in view.links:
        far = link.far_end(view.router.name)
        record = view.network.record_of(port)
        if far is None or not record.up:
            continue
        yield {
            ".id": f"*{seeded.number(view.isp.seed, 'ospf', port.device, link.id, bits=24):X}",
            "instance": INSTANCE,
            "router-id": view.isp.router(far.device).router_id,
            "address": far.address,
            "interface": port.interface,
            "priority": "1",
            "dr-address": NO_ADDRESS,
            "backup-dr-address": NO_ADDRESS,
            "state": "Full",
            "state-changes": str(CHANGES_PER_ADJACENCY * (1 + 2 * record.downs)),
            "ls-retransmits": "0",
            "ls-requests": "0",
            "db-summaries": "0",
            "adjacency": formats.duration(view.now - record.since),
        }


def bgp_instance(view: View) -> Iterator[Row]:
    ours = [peer for _, peer in peers(view)]
    yield {
        ".id": "*1",
        "name": INSTANCE,
        "as": str(ours[0].local_as if ours else 65530),
        "router-id": view.router.router_id,
        "default": "true",
        "disabled": "false",
    }


def bgp_peer(view: View) -> Iterator[Row]:
    """Configuration and state in one row. Fields after `state` are absent while it is not established."""
    for number, peer in peers(view):
        record = view.network.record_of(peer)
        link = view.isp.link(peer.link or "")
        is_down = link is not None and not view.network.is_up(link)
        row = {
            ".id": f"*{number:X}",
            "name": peer.name,
            "instance": INSTANCE,
            "remote-address": peer.remote_address,
            "remote-as": str(peer.remote_as),
            "tcp-md5-key": "",
            "multihop": formats.boolean(peer.kind == "ibgp"),
            "route-reflect": "false",
            "hold-time": "3m",
            "ttl": "default",
            "address-families": "ip",
            "state": "established" if record.up else "idle" if is_down else "active",
            "disabled": "false",
        }
        if record.up:
            messages = 1000 + int(record.seconds_up(view.now) // 30)
            row |= {
                "remote-id": peer.remote_address,
                "local-address": peer.local_address,
                "uptime": formats.duration(view.now - record.since),
                "prefix-count": str(peer.prefix_count),
                "updates-sent": str(messages - 12),
                "updates-received": str(messages),
                "withdrawn-sent": "0",
                "withdrawn-received": "0",
                "remote-hold-time": "3m",
                "used-hold-time": "3m",
                "used-keepalive-time": "1m",
                "as4-capability": "true",
                "refresh-capability": "true",
                "established": "true",
            }
        yield row
