"""Effects of failures on the network. Effects of several failures combine, in any order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce


@dataclass(frozen=True)
class Effects:
    """Everything that does not work at one time. `Effects()` is a healthy network."""

    # Link ids: no light on either end.
    links_down: frozenset[str] = frozenset()
    # Devices without power, or booting.
    devices_down: frozenset[str] = frozenset()
    # Devices whose first power supply has no input.
    on_battery: frozenset[str] = frozenset()
    # Devices whose API accepts connections and never responds.
    unresponsive_apis: frozenset[str] = frozenset()
    # (device, peer): the BGP session is down, its link is up.
    peers_down: frozenset[tuple[str, str]] = frozenset()
    # Devices whose PPPoE server is down.
    services_down: frozenset[str] = frozenset()
    # Link id -> delay added one way, to echoes.
    delays: Mapping[str, timedelta] = field(default_factory=dict)
    # Link id -> share of echoes that is lost.
    losses: Mapping[str, float] = field(default_factory=dict)

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
