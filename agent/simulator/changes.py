"""Configuration changes on a router: nothing fails, but its configuration differs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import ClassVar

from agent.simulator import seeded
from agent.simulator.blueprint import Blueprint
from agent.simulator.failures.base import CONFIG_CHANGE, MalformedFailure, require_device, text

# menu and the action that /system/history shows for a change of it
MENUS: Mapping[str, str] = {
    "/interface": "device changed",
    "/ip/firewall/filter": "filter rule added",
}
USERS = ("admin", "noc", "jane")


@dataclass(frozen=True)
class Change:
    """A user changed one menu of one router. It is permanent: there is nothing to heal."""

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
    def create(
        cls, change_id: str, at: datetime, spec: Mapping[str, object], isp: Blueprint
    ) -> "Change":
        """Without `menu` it is chosen by the seed. Raises MalformedFailure, UnknownTarget."""
        if "device" not in spec or set(spec) - {"kind", "device", "menu"}:
            raise MalformedFailure(
                'A config_change is {"kind": "config_change", "device": …}, with "menu": … or without.'
            )
        device = text("device", spec["device"])
        require_device(isp, device)
        rng = seeded.rng(isp.seed, "change", change_id)
        by, menu = rng.choice(USERS), rng.choice(sorted(MENUS))
        menu = text("menu", spec.get("menu", menu))
        if menu not in MENUS:
            raise MalformedFailure("`menu` is one of " + ", ".join(MENUS) + ".")
        return cls(change_id, at, device, menu, by)

    def describe(self) -> dict[str, object]:
        return {**asdict(self), "kind": self.kind, "at": self.at.isoformat()}

    @staticmethod
    def from_document(document: Mapping[str, str]) -> "Change":
        """The inverse of `describe`. Raises ValueError, KeyError."""
        at = datetime.fromisoformat(document["at"])
        return Change(document["id"], at, document["device"], document["menu"], document["by"])

    def __str__(self) -> str:
        return f"{self.menu} on {self.device} ({self.id})"
