"""The menus a modelled router has. Adding one is adding a function of the view and a line here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.simulator.menus import configuration, interfaces, ppp, routing, system
from agent.simulator.menus.view import Row, View


@dataclass(frozen=True)
class Menu:
    """One place in the command tree that can be printed."""

    rows: Callable[[View], Iterable[Row]]
    count: Callable[[View], int] | None = None  # where counting must not cost a row each


MENUS: Mapping[str, Menu] = {
    "/system/identity": Menu(system.identity),
    "/system/resource": Menu(system.resource),
    "/system/routerboard": Menu(system.routerboard),
    "/system/clock": Menu(system.clock),
    "/system/health": Menu(system.health),
    "/system/package": Menu(system.package),
    "/system/history": Menu(configuration.history),
    "/interface": Menu(interfaces.interface),
    "/interface/ethernet": Menu(interfaces.ethernet),
    "/interface/pppoe-server/server": Menu(ppp.pppoe_server),
    "/ip/address": Menu(interfaces.ip_address),
    "/ip/firewall/filter": Menu(configuration.firewall_filter),
    "/ip/service": Menu(interfaces.ip_service),
    "/ppp/active": Menu(ppp.active, count=ppp.active_count),
    "/routing/bgp/connection": Menu(routing.bgp_connection),
    "/routing/bgp/session": Menu(routing.bgp_session),
    "/routing/ospf/instance": Menu(routing.ospf_instance),
    "/routing/ospf/neighbor": Menu(routing.ospf_neighbor),
}

MONITORS: Mapping[str, Callable[[View, Sequence[str]], Iterable[Row]]] = {
    "/interface/ethernet": interfaces.ethernet_monitor,
}
