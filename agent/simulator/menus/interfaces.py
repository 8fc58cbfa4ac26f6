"""Ports, addresses and services. The state of a port is that of its link."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface

from agent.simulator import seeded
from agent.simulator.blueprint import Link, Port
from agent.simulator.menus import ppp
from agent.simulator.menus.traffic import Counters, counter_fields, counters_of
from agent.simulator.menus.view import NoSuchItem, Row, View
from agent.simulator.routeros import formats

CAGES = 6  # SFP cages that the boards show; some stay empty
NO_LIGHT_DBM = "-40"
LOOPBACK_ID = "*20"
VLAN_ID = "*30"

Attachment = tuple[Link, Port]


@dataclass(frozen=True)
class Cage:
    """One SFP cage and the link in it, if there is one."""

    id: str
    name: str
    attachment: Attachment | None


def cages(view: View) -> list[Cage]:
    """All cages in order. Ports with links are numbered from one without gaps, then come empty cages."""
    links = {port.interface: (link, port) for link, port in view.links}
    name_prefix = next(iter(links)).rstrip("0123456789")
    names = [f"{name_prefix}{number}" for number in range(1, CAGES + 1)]
    return [Cage(f"*{k:X}", name, links.get(name)) for k, name in enumerate(names, start=2)]


def mac(view: View, name: str) -> str:
    return seeded.mac_address(view.isp.seed, view.router.name, name)


def interface(view: View) -> Iterator[Row]:
    yield {
        **base_row(view, "*1", "ether1", "ether"),
        "default-name": "ether1",
        **(link_state(view, None) | counter_fields(Counters(0, 0))),
        "disabled": "false",
        **management_comment(view),
    }
    for cage in cages(view):
        yield {
            **base_row(view, cage.id, cage.name, "ether"),
            "default-name": cage.name,
            **link_state(view, cage.attachment),
            **counter_fields(traffic(view, cage.attachment)),
            "disabled": "false",
            **comment(view, cage.attachment),
        }
    yield {
        **base_row(view, LOOPBACK_ID, "lo", "loopback"),
        **loopback_kind(view),
        "link-downs": "0",
        **counter_fields(Counters(0, 0)),
        "running": "true",
        "disabled": "false",
    }
    yield from subscriber_interfaces(view)


def loopback_kind(view: View) -> Row:
    """v6 has no loopback interface: a bridge without ports is used, whose `mtu` is `auto`."""
    if view.release.is_v6:
        return {"type": "bridge", "mtu": "auto", "l2mtu": "65535"}
    return {"mtu": "65536", "actual-mtu": "65536"}


def subscriber_interfaces(view: View) -> Iterator[Row]:
    """On a concentrator: the VLAN of the subscribers, then one dynamic interface for each of them."""
    service = view.isp.service_at(view.router.name)
    if service is None:
        return
    attachment = view.links[0]
    is_local = service.access == view.router.name  # the subscribers' port has no link: always up
    up = {"link-downs": "0", "running": "true"} if is_local else link_state(view, attachment)
    yield {
        **base_row(view, VLAN_ID, service.interface, "vlan"),
        **up,
        **counter_fields(traffic(view, attachment)),
        "disabled": "false",
    }
    yield from ppp.dynamic_interfaces(view)


def base_row(view: View, row_id: str, name: str, kind: str) -> Row:
    return {
        ".id": row_id,
        "name": name,
        "type": kind,
        "mtu": "1500",
        "actual-mtu": "1500",
        "l2mtu": "1584",
        "mac-address": mac(view, name),
    }


def management_comment(view: View) -> Row:
    """The comment of the management port after a change of /interface."""
    changes = view.changes("/interface")
    return {"comment": f"mgmt, rack checked {changes[-1].id}"} if changes else {}


def comment(view: View, attachment: Attachment | None) -> Row:
    if attachment is None:
        return {}
    link, _ = attachment
    far = link.far_end(view.router.name)
    return {"comment": f"to {link.provider if far is None else far.device}"}


def link_state(view: View, attachment: Attachment | None) -> Row:
    """`last-link-down-time` is absent while the port never went down; an empty cage was never up."""
    if attachment is None:
        return {"link-downs": "0", "running": "false"}
    record = view.network.record_of(attachment[1])
    row = {} if record.last_down is None else {"last-link-down-time": view.local(record.last_down)}
    row["last-link-up-time"] = view.local(record.last_up or record.since)
    row["link-downs"] = str(record.downs)
    row["running"] = formats.boolean(record.up)
    return row


def traffic(view: View, attachment: Attachment | None) -> Counters:
    if attachment is None:
        return Counters(0, 0)
    link, port = attachment
    return counters_of(view.isp.seed, link, port, view.network.record_of(port).seconds_up(view.now))


def ethernet(view: View) -> Iterator[Row]:
    """The switch chip's own counters: bytes in the plural here, in the singular in /interface."""
    for cage in (Cage("*1", "ether1", None), *cages(view)):
        counters = traffic(view, cage.attachment)
        up = cage.attachment is not None and view.network.is_up(cage.attachment[0])
        yield {
            ".id": cage.id,
            "name": cage.name,
            "default-name": cage.name,
            "mtu": "1500",
            "l2mtu": "1584",
            "mac-address": mac(view, cage.name),
            "orig-mac-address": mac(view, cage.name),
            "arp": "enabled",
            "auto-negotiation": "true",
            "loop-protect": "default",
            "loop-protect-status": "off",
            "rx-flow-control": "off",
            "tx-flow-control": "off",
            "rx-bytes": str(counters.rx_bytes),
            "tx-bytes": str(counters.tx_bytes),
            "rx-packet": str(counters.rx_packets),
            "tx-packet": str(counters.tx_packets),
            "rx-fcs-error": "0",
            "rx-align-error": "0",
            "rx-too-short": "0",
            "rx-too-long": "0",
            "running": formats.boolean(up),
            "disabled": "false",
        }


def ethernet_monitor(view: View, names: Sequence[str]) -> Iterator[Row]:
    """Several ports in one command, by name, id or index. Raises NoSuchItem."""
    ports = [Cage("*1", "ether1", None), *cages(view)]
    known = {str(index): cage for index, cage in enumerate(ports)}
    known |= {cage.id: cage for cage in ports} | {cage.name: cage for cage in ports}
    for name in names:
        if name not in known:
            raise NoSuchItem(name)
        yield monitor_row(view, known[name])


def monitor_row(view: View, cage: Cage) -> Row:
    """Numbers come bare: degrees Celsius, volts, milliamperes, dBm, nanometres."""
    if cage.attachment is None:
        row = {"name": cage.name, "status": "no-link", "auto-negotiation": "done"}
        return row if cage.name == "ether1" else {**row, "sfp-module-present": "false"}
    link, _ = cage.attachment
    rng = seeded.rng(view.isp.seed, "optic", view.router.name, cage.name)
    rx_power, tx_power = f"{rng.uniform(-9, -3):.2f}", f"{rng.uniform(-3, 1):.2f}"
    up = view.network.is_up(link)
    rate = {"rate": f"{link.capacity_bps // 1_000_000_000}Gbps", "full-duplex": "true"}
    return {
        "name": cage.name,
        "status": "link-ok" if up else "no-link",
        "auto-negotiation": "done",
        **(rate if up else {}),
        "tx-flow-control": "false",
        "rx-flow-control": "false",
        "sfp-module-present": "true",
        "sfp-rx-loss": formats.boolean(not up),
        "sfp-tx-fault": "false",
        "sfp-type": "SFP/SFP+/SFP28/SFP56",
        "sfp-connector-type": "LC",
        "sfp-vendor-name": "MikroTik",
        "sfp-vendor-part-number": "S+31DLC10D",
        "sfp-vendor-serial": seeded.serial_number(view.isp.seed, f"{view.router.name}/{cage.name}"),
        "sfp-wavelength": "1310",
        "sfp-temperature": str(rng.randint(29, 44)),
        "sfp-supply-voltage": f"{rng.uniform(3.22, 3.36):.3f}",
        "sfp-tx-bias-current": str(rng.randint(18, 34)),
        "sfp-tx-power": tx_power,
        "sfp-rx-power": rx_power if up else NO_LIGHT_DBM,
    }


def ip_address(view: View) -> Iterator[Row]:
    yield address_row("*1", f"{view.router.router_id}/32", "lo")
    for number, (_, port) in enumerate(view.links, start=2):
        yield address_row(f"*{number:X}", f"{port.address}/{port.prefix_length}", port.interface)


def address_row(row_id: str, address: str, interface_name: str) -> Row:
    return {
        ".id": row_id,
        "address": address,
        "network": str(ip_interface(address).network.network_address),
        "interface": interface_name,
        "actual-interface": interface_name,
        "vrf": "main",
        "invalid": "false",
        "dynamic": "false",
        "slave": "false",
        "disabled": "false",
    }


def ip_service(view: View) -> Iterator[Row]:
    del view  # the same on every router
    services = (("ssh", "22", "false"), ("api", "8728", "false"), ("winbox", "8291", "true"))
    for number, (name, port, disabled) in enumerate(services, start=1):
        yield {
            ".id": f"*{number:X}",
            "name": name,
            "port": port,
            "proto": "tcp",
            "address": "",
            "vrf": "main",
            "max-sessions": "20",
            "dynamic": "false",
            "disabled": disabled,
        }
