"""Failures of routers: power loss, reboot, unresponsive API."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from agent.simulator import seeded
from agent.simulator.blueprint import Blueprint
from agent.simulator.effects import Effects
from agent.simulator.failures.base import (
    Failure,
    UnknownTarget,
    amount,
    require_device,
    text,
)

BOOT_SECONDS = (12, 25)  # range of the boot time


@dataclass(frozen=True)
class PowerLoss(Failure):
    """A power outage of a whole site. With a battery its routers keep running on their second supply until it is empty;
    then all of them are down, and boot when the power returns."""

    kind: ClassVar[str] = "power_loss"

    site: str
    battery_s: float = 0.0

    @classmethod
    def create(
        cls, failure_id: str, at: datetime, spec: Mapping[str, object], isp: Blueprint
    ) -> Self:
        """Without `battery_s` there is no battery. Raises MalformedFailure, UnknownTarget."""
        return super().create(failure_id, at, {"battery_s": 0.0, **spec}, isp)

    @classmethod
    def parse_values(cls, values: Mapping[str, object]) -> dict[str, Any]:
        seconds = amount("battery_s", values["battery_s"], minimum=0, maximum=86_400)
        return {"site": text("site", values["site"]), "battery_s": seconds}

    @property
    def power_off_at(self) -> datetime:
        return self.at + timedelta(seconds=self.battery_s)

    def check(self, isp: Blueprint) -> None:
        if not any(site.key == self.site for site in isp.sites):
            raise UnknownTarget("site", "GET /topology")

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        affected = frozenset(r.name for r in isp.routers if r.site == self.site)
        return (
            Effects(devices_down=affected)
            if at >= self.power_off_at
            else Effects(on_battery=affected)
        )

    def next_change_at(self, after: datetime) -> datetime | None:
        return self.power_off_at if after < self.power_off_at else None


@dataclass(frozen=True)
class DeviceFailure(Failure):
    """A failure of one router."""

    device: str

    def check(self, isp: Blueprint) -> None:
        require_device(isp, self.device)


@dataclass(frozen=True)
class DeviceDown(DeviceFailure):
    """A router without power or with a failed board; the ports of its neighbors go down."""

    kind: ClassVar[str] = "device_down"

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp, at
        return Effects(devices_down=frozenset({self.device}))


@dataclass(frozen=True)
class ApiDown(DeviceFailure):
    """The API accepts connections and never responds; forwarding, echo and routing work."""

    kind: ClassVar[str] = "api_down"

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp, at
        return Effects(unresponsive_apis=frozenset({self.device}))


@dataclass(frozen=True)
class Reboot(DeviceFailure):
    """Down for the time of a boot, then up again by itself."""

    kind: ClassVar[str] = "reboot"

    seconds: float

    @classmethod
    def create(
        cls, failure_id: str, at: datetime, spec: Mapping[str, object], isp: Blueprint
    ) -> Self:
        """Without `seconds` the duration is derived from the seed. Raises MalformedFailure, UnknownTarget."""
        default_seconds = seeded.rng(isp.seed, "boot", spec.get("device")).randint(*BOOT_SECONDS)
        return super().create(failure_id, at, {"seconds": default_seconds, **spec}, isp)

    @classmethod
    def parse_values(cls, values: Mapping[str, object]) -> dict[str, Any]:
        seconds = amount("seconds", values["seconds"], minimum=0.1, maximum=3600)
        return {"device": text("device", values["device"]), "seconds": seconds}

    @property
    def ends_at(self) -> datetime:
        return self.at + timedelta(seconds=self.seconds)

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp
        return Effects(devices_down=frozenset(() if self.has_ended(at=at) else {self.device}))

    def next_change_at(self, after: datetime) -> datetime | None:
        return None if self.has_ended(at=after) else self.ends_at

    def has_ended(self, *, at: datetime) -> bool:
        return at >= self.ends_at
