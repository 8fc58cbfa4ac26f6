"""What failures do to the network, in a form that adds up: any number of them, in any order, is one effect."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce


@dataclass(frozen=True)
class Effects:
    """Everything that does not work at one moment. `Effects()` is a healthy network."""

    dark_links: frozenset[str] = frozenset()  # ids: no light on either end
    dead_devices: frozenset[str] = frozenset()  # no power, or booting
    on_battery: frozenset[str] = frozenset()  # devices whose first supply has lost its input
    silent_apis: frozenset[str] = frozenset()  # devices whose API accepts and never answers
    broken_peers: frozenset[tuple[str, str]] = frozenset()  # device, peer: BGP alone is down
    dead_services: frozenset[str] = frozenset()  # devices whose PPPoE process is gone
    delays: Mapping[str, timedelta] = field(default_factory=dict)  # link: added one way, to echoes
    losses: Mapping[str, float] = field(default_factory=dict)  # link: share of echoes that is lost

    def __or__(self, other: "Effects") -> "Effects":
        """Both at once. Delays add up; what the first loses the second cannot lose again."""
        return Effects(
            dark_links=self.dark_links | other.dark_links,
            dead_devices=self.dead_devices | other.dead_devices,
            on_battery=self.on_battery | other.on_battery,
            silent_apis=self.silent_apis | other.silent_apis,
            broken_peers=self.broken_peers | other.broken_peers,
            dead_services=self.dead_services | other.dead_services,
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


def sum_of(effects: Iterable[Effects]) -> Effects:
    return reduce(Effects.__or__, effects, Effects())
