"""JSON documents of the control API: the topology and the true state."""

from datetime import datetime
from typing import Any

from agent.simulator.blueprint import Blueprint, Link, Port
from agent.simulator.menus.routing import AREA
from agent.simulator.network import Network


def topology(isp: Blueprint, *, api_port: int, echo_port: int) -> dict[str, Any]:
    """The data that an operator enters into the inventory."""
    return {
        "seed": isp.seed,
        "isp": isp.isp,
        "server": {"device": isp.server_at},
        "credentials": {"username": isp.username, "password": isp.password},
        "api_port": api_port,
        "echo_port": echo_port,
        "sites": [
            {
                "key": site.key,
                "name": site.name,
                "latitude": site.latitude,
                "longitude": site.longitude,
            }
            for site in isp.sites
        ],
        "devices": [
            {
                "name": router.name,
                "role": router.role,
                "site": router.site,
                "address": router.address,
                "router_id": router.router_id,
                "os": router.os,
            }
            for router in isp.routers
        ],
        "links": [link_document(link) for link in isp.links],
        "bgp_peers": bgp_peers(isp),
        "ospf_neighbors": ospf_neighbors(isp),
        "services": [
            {
                "kind": "pppoe",
                "device": service.device,
                "name": service.name,
                "sessions": service.population,
            }
            for service in isp.services
        ],
        "agents": [
            {
                "name": agent.name,
                "source_address": agent.source_address,
                "site": agent.site,
                "attached_to": agent.attached_to,
                "polls": list(agent.polls),
            }
            for agent in isp.agents
        ],
    }


def port_document(port: Port) -> dict[str, str]:
    return {"device": port.device, "interface": port.interface, "address": port.address}


def ends(link: Link) -> dict[str, Any]:
    return {"a": port_document(link.a), "z": None if link.z is None else port_document(link.z)}


def link_document(link: Link) -> dict[str, Any]:
    return {
        "id": link.id,
        "kind": link.kind.value,
        "capacity_bps": link.capacity_bps,
        "medium": link.medium,
        "provider": link.provider,
        **ends(link),
    }


def bgp_peers(isp: Blueprint) -> list[dict[str, Any]]:
    return [
        {
            "device": peer.device,
            "name": peer.name,
            "kind": peer.kind,
            "remote_address": peer.remote_address,
            "remote_as": peer.remote_as,
            "local_as": peer.local_as,
            "link": peer.link,
        }
        for peer in isp.bgp_peers
    ]


def ospf_neighbors(isp: Blueprint) -> list[dict[str, Any]]:
    """One for each direction; `address` and `router_id` are the neighbor's."""
    return [
        {
            "device": near.device,
            "link": link.id,
            "interface": near.interface,
            "area": AREA,
            "router_id": isp.router(far.device).router_id,
            "address": far.address,
        }
        for link in isp.links
        if link.z is not None
        for near, far in ((link.a, link.z), (link.z, link.a))
    ]


def links(network: Network) -> list[dict[str, Any]]:
    return [
        {"id": link.id, "kind": link.kind.value, "up": network.is_up(link), **ends(link)}
        for link in network.isp.links
    ]


def failures(network: Network) -> list[dict[str, object]]:
    return [failure.describe() for failure in network.failures.values()]


def truth(network: Network, *, at: datetime) -> dict[str, Any]:
    """The true state, which monitoring should arrive at."""
    isp = network.isp
    return {
        "at": at.isoformat(),
        "failures": failures(network),
        "changes": [change.describe() for change in network.changes],
        "links": {link.id: network.is_up(link) for link in isp.links},
        "devices": {router.name: network.is_alive(router) for router in isp.routers},
        "api": {
            router.name: network.is_alive(router) and network.answers_api(router.name)
            for router in isp.routers
        },
        "reachable": {
            agent.name: {
                router.name: network.reaches(agent.attached_to, router.name)
                for router in isp.routers
            }
            for agent in isp.agents
        },
        "agent_reaches_server": {
            agent.name: network.reaches(agent.attached_to, isp.server_at) for agent in isp.agents
        },
        "sessions": {service.device: network.sessions(service, at=at) for service in isp.services},
        "bgp": {
            router.name: {
                peer.name: network.is_established(peer)
                for peer in isp.bgp_peers
                if peer.device == router.name
            }
            for router in isp.routers
            if router.role == "edge"
        },
        "ospf": {
            router.name: {
                link.id: network.is_up(link)
                for link, _ in isp.links_at(router.name)
                if link.z is not None
            }
            for router in isp.routers
        },
    }
