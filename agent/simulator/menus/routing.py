"""OSPF and BGP menus of RouterOS 7."""

from collections.abc import Iterator
from datetime import timedelta

from agent.simulator import seeded
from agent.simulator.blueprint import BgpPeer
from agent.simulator.menus.view import Row, View
from agent.simulator.routeros import formats

INSTANCE = "default-v2"
AREA = "backbone"
DEAD_INTERVAL = 40
CHANGES_PER_ADJACENCY = 5  # Down, Init, ExStart, Exchange, Loading, Full


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
        "version": "2",
        "vrf": "main",
        "router-id": view.router.router_id,
        "disabled": "false",
    }


def ospf_neighbor(view: View) -> Iterator[Row]:
    """Point-to-point: no interface, dr, bdr or priority, and counters that are zero are left out.

    A neighbor whose link is down has no row.
    """
    for link, port in view.links:
        far = link.far_end(view.router.name)
        record = view.network.record_of(port)
        if far is None or not record.up:
            continue
        offset = seeded.number(view.isp.seed, "hello", port.device, link.id, bits=8)
        since_hello = (int(view.now.timestamp()) + offset) % 10
        yield {
            ".id": f"*{seeded.number(view.isp.seed, 'ospf', port.device, link.id):X}",
            "instance": INSTANCE,
            "area": AREA,
            "address": far.address,
            "router-id": view.isp.router(far.device).router_id,
            "state": "Full",
            "state-changes": str(CHANGES_PER_ADJACENCY * (1 + 2 * record.downs)),
            "adjacency": formats.duration(view.now - record.since),
            "timeout": formats.duration(timedelta(seconds=DEAD_INTERVAL - since_hello)),
            "dynamic": "true",
        }


def peers(view: View) -> list[tuple[int, BgpPeer]]:
    ours = (peer for peer in view.isp.bgp_peers if peer.device == view.router.name)
    return list(enumerate(ours, start=1))


def bgp_connection(view: View) -> Iterator[Row]:
    """Configured peers in any state. A single remote address has a /32 prefix."""
    for number, peer in peers(view):
        yield {
            ".id": f"*{number:X}",
            "name": peer.name,
            "as": str(peer.local_as),
            "local.address": peer.local_address,
            "local.role": peer.kind,
            "remote.address": f"{peer.remote_address}/32",
            "remote.as": str(peer.remote_as),
            "router-id": view.router.router_id,
            "routing-table": "main",
            "vrf": "main",
            "templates": "default",
            "connect": "true",
            "listen": "true",
            "disabled": "false",
            "inactive": "false",
        }


def bgp_session(view: View) -> Iterator[Row]:
    """v7 has no state field: a session that went down keeps its row and stale prefixes, without `established`.

    A session that was never up since the boot has no row. `ebgp` and `ibgp` are switches:
    present with an empty value.
    """
    for number, peer in peers(view):
        record = view.network.record_of(peer)
        if not record.up and not record.downs:
            continue
        age = view.now - record.since
        messages = 1000 + int(record.seconds_up(view.now) // 30)
        row = {
            ".id": f"*{0x2800000 + number:X}",
            "name": f"{peer.name}-1",
            "remote.address": peer.remote_address,
            "remote.as": str(peer.remote_as),
            "remote.id": peer.remote_address,
            "remote.capabilities": "mp,rr,gr,as4",
            "remote.afi": "ip",
            "remote.messages": str(messages),
            "remote.bytes": str(messages * 61),
            "remote.eor": "ip" if record.up else "",
            "local.role": peer.kind,
            "local.address": peer.local_address,
            "local.as": str(peer.local_as),
            "local.id": view.router.router_id,
            "local.capabilities": "mp,rr,gr,as4",
            "local.messages": str(messages - 12),
            "local.bytes": str(messages * 19),
            "local.eor": "",
            "output.procid": "20",
            "input.procid": "20",
            peer.kind: "",
        }
        if record.up:
            row |= {
                "hold-time": "3m",
                "keepalive-time": "1m",
                "uptime": formats.precise_duration(age),
            }
        row["last-started"] = view.local(record.last_up or record.since)
        if record.last_down is not None:
            row["last-stopped"] = view.local(record.last_down)
        row["prefix-count"] = str(peer.prefix_count)
        if record.up:
            row["established"] = "true"
        yield row
