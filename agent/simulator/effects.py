"""Effects of failures on the network. Effects of several failures combine, in any order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce


@dataclass(frozen=True)
class Effects:
    """Everything that does not work at one time. `Effects()` is a healthy network."""

    links_down: frozenset[str] = frozenset()  # ids: no light on either end
    devices_down: frozenset[str] = frozenset()  # no power, or booting
    on_battery: frozenset[str] = frozenset()  # devices whose first power supply has no input
    unresponsive_apis: frozenset[str] = (
        frozenset()
    )  # devices whose API accepts connections and never responds
    peers_down: frozenset[tuple[str, str]] = (
        frozenset()
    )  # device, peer: the BGP session is down, its link is up
    services_down: frozenset[str] = frozenset()  # devices whose PPPoE server is down
    delays: Mapping[str, timedelta] = field(default_factory=dict)  # link: added one way, to echoes
    losses: Mapping[str, float] = field(default_factory=dict)  # link: share of echoes that is lost

    def __or__(self, other: "Effects") -> "Effects":
        """Both at once. Delays add up; loss rates multiply."""
        return Effects(
            links_down=self.links_down | other.links_down,
            devices_down=self.devices_down | other.devices_down,
            on_battery=self.on_battery | other.on_battery,
            unresponsive_apis=self.unresponsive_apis | other.unresponsive_apis,
            peers_down=self.peers_down | other.peers_down,
            services_down=self.services_down | other.services_down,
            delays={
                link: self.delay(link) + other.delay(link)
                for link in self.delays.keys() | other.delays.keys()
            },
            losses={
                link: 1 - (1 - self.loss(link)) * (1 - other.loss(link))
                for link in self.losses.keys() | other.losses.keys()
            },
        )

    def delay(self, link: str) -> timedelta:
        return self.delays.get(link, timedelta(0))

    def loss(self, link: str) -> float:
        return self.losses.get(link, 0.0)


def combine(effects: Iterable[Effects]) -> Effects:
    return reduce(Effects.__or__, effects, Effects())
