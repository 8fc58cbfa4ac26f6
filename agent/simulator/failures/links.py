"""What happens to wires: cut, flapping, slow, lossy."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from agent.simulator.blueprint import Blueprint
from agent.simulator.effects import Effects
from agent.simulator.failures.base import Failure, amount, require_link, text


@dataclass(frozen=True)
class LinkFailure(Failure):
    """Something about one wire."""

    link: str

    def check(self, isp: Blueprint) -> None:
        require_link(isp, self.link)


@dataclass(frozen=True)
class LinkCut(LinkFailure):
    """The excavator: no light on either end until the splice."""

    kind: ClassVar[str] = "link_cut"

    def __str__(self) -> str:
        return f"link {self.link} ({self.id})"

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp, at
        return Effects(dark_links=frozenset({self.link}))


@dataclass(frozen=True)
class Flap(LinkFailure):
    """A bad splice: dark in the first half of each period, lit in the second."""

    kind: ClassVar[str] = "flap"

    period_s: float

    @classmethod
    def checked(cls, given: Mapping[str, object]) -> dict[str, Any]:
        period = amount("period_s", given["period_s"], least=0.2, most=3600)
        return {"link": text("link", given["link"]), "period_s": period}

    @property
    def half(self) -> timedelta:
        return timedelta(seconds=self.period_s) / 2

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp
        is_dark = (at - self.at) // self.half % 2 == 0
        return Effects(dark_links=frozenset({self.link} if is_dark else ()))

    def next_turn(self, after: datetime) -> datetime:
        return self.at + ((after - self.at) // self.half + 1) * self.half


@dataclass(frozen=True)
class Latency(LinkFailure):
    """A detour inside the carrier's network: echoes take longer, each way; the route stays the same."""

    kind: ClassVar[str] = "latency"

    ms: float

    @classmethod
    def checked(cls, given: Mapping[str, object]) -> dict[str, Any]:
        added = amount("ms", given["ms"], least=0.1, most=5000)
        return {"link": text("link", given["link"]), "ms": added}

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp, at
        return Effects(delays={self.link: timedelta(milliseconds=self.ms)})


@dataclass(frozen=True)
class Loss(LinkFailure):
    """A dirty connector: so many per cent of the echoes that cross the link, there and back, never return."""

    kind: ClassVar[str] = "loss"

    pct: float

    @classmethod
    def checked(cls, given: Mapping[str, object]) -> dict[str, Any]:
        lost = amount("pct", given["pct"], least=0.1, most=100)
        return {"link": text("link", given["link"]), "pct": lost}

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp, at
        return Effects(losses={self.link: self.pct / 100})
