"""The menus of a simulated router, by the major version of its RouterOS.

A new menu needs a function of the view and a line here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.simulator.menus import configuration, interfaces, ppp, routing, system, v6
from agent.simulator.menus.view import Row, View


@dataclass(frozen=True)
class Menu:
    """One menu that can be printed."""

    rows: Callable[[View], Iterable[Row]]
    count: Callable[[View], int] | None = None  # counts without creating every row


SHARED: Mapping[str, Menu] = {
    "/system/identity": Menu(system.identity),
    "/system/resource": Menu(system.resource),
    "/system/routerboard": Menu(system.routerboard),
    "/system/clock": Menu(system.clock),
    "/system/history": Menu(configuration.history),
    "/interface": Menu(interfaces.interface),
    "/interface/ethernet": Menu(interfaces.ethernet),
    "/interface/vlan": Menu(ppp.vlan),
    "/interface/pppoe-server/server": Menu(ppp.pppoe_server),
    "/ip/firewall/filter": Menu(configuration.firewall_filter),
    "/ip/firewall/mangle": Menu(configuration.empty),
    "/ip/firewall/nat": Menu(configuration.empty),
    "/ip/firewall/raw": Menu(configuration.empty),
    "/ip/pool": Menu(ppp.pool),
    "/tool/netwatch": Menu(configuration.empty),
    "/ppp/active": Menu(ppp.active, count=ppp.active_count),
}

V7: Mapping[str, Menu] = {
    **SHARED,
    "/system/health": Menu(system.health),
    "/system/package": Menu(system.package),
    "/ip/address": Menu(interfaces.ip_address),
    "/ip/service": Menu(interfaces.ip_service),
    "/routing/bgp/connection": Menu(routing.bgp_connection),
    "/routing/bgp/session": Menu(routing.bgp_session),
    "/routing/ospf/area": Menu(routing.ospf_area),
    "/routing/ospf/instance": Menu(routing.ospf_instance),
    "/routing/ospf/neighbor": Menu(routing.ospf_neighbor),
}

V6: Mapping[str, Menu] = {
    **SHARED,
    "/system/health": Menu(v6.health),
    "/system/package": Menu(v6.package),
    "/ip/address": Menu(v6.ip_address),
    "/ip/service": Menu(v6.ip_service),
    "/routing/bgp/instance": Menu(v6.bgp_instance),
    "/routing/bgp/peer": Menu(v6.bgp_peer),
    "/routing/ospf/area": Menu(v6.ospf_area),
    "/routing/ospf/instance": Menu(v6.ospf_instance),
    "/routing/ospf/network": Menu(v6.ospf_network),
    "/routing/ospf/neighbor": Menu(v6.ospf_neighbor),
}


def menus_of(view: View) -> Mapping[str, Menu]:
    """The menus of this router."""
    return V6 if view.release.is_v6 else V7


MONITORS: Mapping[str, Callable[[View, Sequence[str]], Iterable[Row]]] = {
    "/interface/ethernet": interfaces.ethernet_monitor,
}
