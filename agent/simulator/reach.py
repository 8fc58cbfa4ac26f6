"""How far somebody gets over the wires that work, and what happens to datagrams on the way. Pure."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from agent.simulator.blueprint import Blueprint, Link
from agent.simulator.effects import Effects


@dataclass(frozen=True)
class Trip:
    """One way to a router. Routing looks at `latency` alone: OSPF's costs know nothing of a slow link."""

    latency: timedelta = timedelta(0)
    delay: timedelta = timedelta(0)  # added by failures, to echoes
    arrives: float = 1.0  # share of the echoes that survive the way there and back

    def over(self, link: Link, effects: Effects) -> "Trip":
        return Trip(
            self.latency + link.latency,
            self.delay + effects.delay(link.id),
            self.arrives * (1 - effects.loss(link.id)),
        )


@dataclass(frozen=True)
class Reached:
    """How far somebody gets from one place: the trip to every router that answers."""

    trips: Mapping[str, Trip]

    @property
    def latencies(self) -> dict[str, timedelta]:
        return {device: trip.latency for device, trip in self.trips.items()}

    def __contains__(self, device: str) -> bool:
        return device in self.trips


def explore(isp: Blueprint, place: str, effects: Effects, is_up: Callable[[Link], bool]) -> Reached:
    """Dijkstra without a heap: a dozen routers need none. Whoever stands behind a dead router reaches nobody."""
    if place in effects.dead_devices:
        return Reached({})
    trips = {place: Trip()}
    queue = deque([place])
    while queue:
        here = queue.popleft()
        for link, _ in isp.links_at(here):
            far = link.far_from(here)
            if far is None or not is_up(link):
                continue
            candidate = trips[here].over(link, effects)
            known = trips.get(far.device)
            if known is None or candidate.latency < known.latency:
                trips[far.device] = candidate
                queue.append(far.device)
    return Reached(trips)
