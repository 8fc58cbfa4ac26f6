"""Shortest paths over the links that are up, with their delay and loss. Pure."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from agent.simulator.blueprint import Blueprint, Link
from agent.simulator.effects import Effects


@dataclass(frozen=True)
class Route:
    """A path to a router. It is chosen by `latency` alone, because OSPF costs do not reflect a slow link."""

    latency: timedelta = timedelta(0)
    delay: timedelta = timedelta(0)  # added by failures, to echoes
    delivery_ratio: float = 1.0  # share of the echoes that survive the round trip

    def extended(self, link: Link, effects: Effects) -> "Route":
        return Route(
            self.latency + link.latency,
            self.delay + effects.delay(link.id),
            self.delivery_ratio * (1 - effects.loss(link.id)),
        )


@dataclass(frozen=True)
class RouteTable:
    """Routes from one router to every router that it reaches."""

    routes: Mapping[str, Route]

    @property
    def latencies(self) -> dict[str, timedelta]:
        return {device: route.latency for device, route in self.routes.items()}

    def __contains__(self, device: str) -> bool:
        return device in self.routes


def find_routes(
    isp: Blueprint, origin: str, effects: Effects, is_up: Callable[[Link], bool]
) -> RouteTable:
    """Dijkstra without a heap, enough for a dozen routers. From a router that is down nothing is reachable."""
    if origin in effects.devices_down:
        return RouteTable({})
    routes = {origin: Route()}
    queue = deque([origin])
    while queue:
        current = queue.popleft()
        for link, _ in isp.links_at(current):
            far_port = link.far_end(current)
            if far_port is None or not is_up(link):
                continue
            candidate = routes[current].extended(link, effects)
            known = routes.get(far_port.device)
            if known is None or candidate.latency < known.latency:
                routes[far_port.device] = candidate
                queue.append(far_port.device)
    return RouteTable(routes)
