"""Subscribers: rows are created on demand; counting creates none."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.simulator import seeded
from agent.simulator.blueprint import PppoeService
from agent.simulator.menus.traffic import counter_fields, counters_of_subscriber
from agent.simulator.menus.view import Row, View
from agent.simulator.network import RECONNECT_DURATION
from agent.simulator.routeros import formats

ACTIVE_ID = 0x80000000  # dynamic PPP ids; the low bits are the same as in the session id
SESSION_ID = 0x81000000
DYNAMIC_ID = 0xF00000
OLDEST_SESSION = timedelta(days=6)


@dataclass(frozen=True)
class Subscriber:
    """One session that is up."""

    number: int
    name: str
    mac_address: str
    address: str
    since: datetime
    low_bits: int  # the low bits of all its ids; different for every session


def subscribers(view: View) -> Iterator[Subscriber]:
    service = view.isp.service_at(view.router.name)
    if service is None:
        return
    for number in range(view.network.sessions(service, at=view.now)):
        yield subscriber(view, service, number)


def subscriber(view: View, service: PppoeService, number: int) -> Subscriber:
    seed = view.isp.seed
    account = 100_000 + service_offset(service) + number
    return Subscriber(
        number=number,
        name=f"home{account}",
        mac_address=seeded.mac_address(seed, service.device, number, vendor="D4:CA:6D"),
        address=f"{service.pool}.{number // 250 + 1}.{number % 250 + 2}",
        since=online_since(view, service, number),
        low_bits=view.network.record_of(service).downs % 256 << 12 | number,
    )


def service_offset(service: PppoeService) -> int:
    """Every concentrator has its own range of ten thousand account numbers."""
    return int(service.pool.rpartition(".")[2]) * 10_000


def online_since(view: View, service: PppoeService, number: int) -> datetime:
    record = view.network.record_of(service)
    if record.downs:
        return record.since + RECONNECT_DURATION * (number + 1) / service.population
    fraction = seeded.number(view.isp.seed, "online", service.device, number, bits=24)
    return view.network.began_at - OLDEST_SESSION * fraction / (1 << 24)


def active(view: View) -> Iterator[Row]:
    """Without byte counters and interface: those are in the dynamic /interface row."""
    for subscriber_ in subscribers(view):
        yield {
            ".id": f"*{ACTIVE_ID | subscriber_.low_bits:X}",
            "name": subscriber_.name,
            "service": "pppoe",
            "caller-id": subscriber_.mac_address,
            "address": subscriber_.address,
            "uptime": formats.duration(view.now - subscriber_.since),
            "encoding": "",
            "session-id": f"0x{SESSION_ID | subscriber_.low_bits:08x}",
            "limit-bytes-in": "0",
            "limit-bytes-out": "0",
            "radius": "true",
        }


def active_count(view: View) -> int:
    service = view.isp.service_at(view.router.name)
    return 0 if service is None else view.network.sessions(service, at=view.now)


def dynamic_interfaces(view: View) -> Iterator[Row]:
    """`<pppoe-NAME>`: rx is what the subscriber sends. PPP has no MAC address."""
    for subscriber_ in subscribers(view):
        seconds = max(0.0, (view.now - subscriber_.since).total_seconds())
        counters = counters_of_subscriber(
            view.isp.seed, view.router.name, subscriber_.number, seconds
        )
        yield {
            ".id": f"*{DYNAMIC_ID | subscriber_.low_bits:X}",
            "name": f"<pppoe-{subscriber_.name}>",
            "type": "pppoe-in",
            "mtu": "1480",
            "actual-mtu": "1480",
            "last-link-up-time": view.local(subscriber_.since),
            "link-downs": "0",
            **counter_fields(counters),
            "running": "true",
            "dynamic": "true",
            "disabled": "false",
        }


def vlan(view: View) -> Iterator[Row]:
    """The VLAN of the subscribers."""
    service = view.isp.service_at(view.router.name)
    if service is None:
        return
    yield {
        ".id": "*30",
        "name": service.interface,
        "mtu": "1500",
        "l2mtu": "1584",
        "vlan-id": service.interface.removeprefix("vlan").partition("-")[0],
        "interface": view.links[0][1].interface,
        "running": "true" if view.network.is_alive(view.router) else "false",
        "disabled": "false",
    }


def pool(view: View) -> Iterator[Row]:
    service = view.isp.service_at(view.router.name)
    if service is None:
        return
    yield {
        ".id": "*1",
        "name": "subscribers",
        "ranges": f"{service.pool}.1.2-{service.pool}.254.251",
    }


def pppoe_server(view: View) -> Iterator[Row]:
    service = view.isp.service_at(view.router.name)
    if service is None:
        return
    yield {
        ".id": "*1",
        "service-name": service.name,
        "interface": service.interface,
        "max-mtu": "1480",
        "max-mru": "1480",
        "mrru": "disabled",
        "authentication": "pap,chap,mschap1,mschap2",
        "keepalive-timeout": "10",
        "one-session-per-host": "true",
        "max-sessions": "unlimited",
        "pado-delay": "0",
        "default-profile": "default",
        "disabled": "false",
    }
