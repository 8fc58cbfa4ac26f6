"""What happens to routers: no power, a reboot, an API that has stopped answering."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from agent.simulator import draws
from agent.simulator.blueprint import Blueprint
from agent.simulator.effects import Effects
from agent.simulator.failures.base import (
    Failure,
    UnknownTarget,
    amount,
    require_device,
    text,
)

BOOT_SECONDS = (12, 25)  # lowest and highest that a seed may draw


@dataclass(frozen=True)
class PowerLoss(Failure):
    """A whole site without power. With a battery its routers run on for so long, each on its second supply; then all of
    them are dead, and start anew when the power is back."""

    kind: ClassVar[str] = "power_loss"

    site: str
    battery_s: float = 0.0

    @classmethod
    def plan(
        cls, failure_id: str, at: datetime, wish: Mapping[str, object], isp: Blueprint
    ) -> Self:
        """Without `battery_s` there is none. Raises MalformedFailure, UnknownTarget."""
        return super().plan(failure_id, at, {"battery_s": 0.0, **wish}, isp)

    @classmethod
    def checked(cls, given: Mapping[str, object]) -> dict[str, Any]:
        seconds = amount("battery_s", given["battery_s"], least=0, most=86_400)
        return {"site": text("site", given["site"]), "battery_s": seconds}

    @property
    def dark_at(self) -> datetime:
        return self.at + timedelta(seconds=self.battery_s)

    def check(self, isp: Blueprint) -> None:
        if not any(site.key == self.site for site in isp.sites):
            raise UnknownTarget("site", "GET /topology")

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        hit = frozenset(r.name for r in isp.routers if r.site == self.site)
        return Effects(dead_devices=hit) if at >= self.dark_at else Effects(on_battery=hit)

    def next_turn(self, after: datetime) -> datetime | None:
        return self.dark_at if after < self.dark_at else None


@dataclass(frozen=True)
class DeviceFailure(Failure):
    """Something about one router."""

    device: str

    def check(self, isp: Blueprint) -> None:
        require_device(isp, self.device)


@dataclass(frozen=True)
class DeviceDown(DeviceFailure):
    """A router without power or with a dead board; its neighbours see their ports go dark."""

    kind: ClassVar[str] = "device_down"

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp, at
        return Effects(dead_devices=frozenset({self.device}))


@dataclass(frozen=True)
class ApiDown(DeviceFailure):
    """The API accepts connections and never answers; forwarding, echo and routing are well."""

    kind: ClassVar[str] = "api_down"

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp, at
        return Effects(silent_apis=frozenset({self.device}))


@dataclass(frozen=True)
class Reboot(DeviceFailure):
    """Down for as long as a boot takes, then back by itself."""

    kind: ClassVar[str] = "reboot"

    seconds: float

    @classmethod
    def plan(
        cls, failure_id: str, at: datetime, wish: Mapping[str, object], isp: Blueprint
    ) -> Self:
        """Without `seconds` the seed says how long it takes. Raises MalformedFailure, UnknownTarget."""
        drawn = draws.draw(isp.seed, "boot", wish.get("device")).randint(*BOOT_SECONDS)
        return super().plan(failure_id, at, {"seconds": drawn, **wish}, isp)

    @classmethod
    def checked(cls, given: Mapping[str, object]) -> dict[str, Any]:
        seconds = amount("seconds", given["seconds"], least=0.1, most=3600)
        return {"device": text("device", given["device"]), "seconds": seconds}

    @property
    def ends_at(self) -> datetime:
        return self.at + timedelta(seconds=self.seconds)

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp
        return Effects(dead_devices=frozenset(() if self.is_over(at=at) else {self.device}))

    def next_turn(self, after: datetime) -> datetime | None:
        return None if self.is_over(at=after) else self.ends_at

    def is_over(self, *, at: datetime) -> bool:
        return at >= self.ends_at
