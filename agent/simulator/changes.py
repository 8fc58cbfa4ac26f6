"""Harmless work on a router: nothing fails, but its configuration is another one than before."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import ClassVar

from agent.simulator import draws
from agent.simulator.blueprint import Blueprint
from agent.simulator.failures.base import CONFIG_CHANGE, MalformedFailure, require_device, text

# menu, and what /system/history calls a change there
MENUS: Mapping[str, str] = {
    "/interface": "device changed",
    "/ip/firewall/filter": "filter rule added",
}
PEOPLE = ("admin", "noc", "jane")


@dataclass(frozen=True)
class Change:
    """Somebody changed one menu of one router. It stays: there is nothing to heal."""

    kind: ClassVar[str] = CONFIG_CHANGE

    id: str
    at: datetime
    device: str
    menu: str
    by: str

    @property
    def action(self) -> str:
        return MENUS[self.menu]

    @classmethod
    def plan(
        cls, change_id: str, at: datetime, wish: Mapping[str, object], isp: Blueprint
    ) -> "Change":
        """Without `menu` the seed chooses one. Raises MalformedFailure, UnknownTarget."""
        if "device" not in wish or set(wish) - {"kind", "device", "menu"}:
            raise MalformedFailure(
                'A config_change is {"kind": "config_change", "device": …}, with "menu": … or without.'
            )
        device = text("device", wish["device"])
        require_device(isp, device)
        source = draws.draw(isp.seed, "change", change_id)
        by, menu = source.choice(PEOPLE), source.choice(sorted(MENUS))
        menu = text("menu", wish.get("menu", menu))
        if menu not in MENUS:
            raise MalformedFailure("`menu` is one of " + ", ".join(MENUS) + ".")
        return cls(change_id, at, device, menu, by)

    def describe(self) -> dict[str, object]:
        return {**asdict(self), "kind": self.kind, "at": self.at.isoformat()}

    @staticmethod
    def restored(document: Mapping[str, str]) -> "Change":
        """What `describe` wrote down. Raises ValueError, KeyError."""
        at = datetime.fromisoformat(document["at"])
        return Change(document["id"], at, document["device"], document["menu"], document["by"])

    def __str__(self) -> str:
        return f"{self.menu} on {self.device} ({self.id})"
