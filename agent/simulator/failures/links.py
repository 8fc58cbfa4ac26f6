"""Failures of links: cut, flapping, latency, loss."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from agent.simulator.blueprint import Blueprint
from agent.simulator.effects import Effects
from agent.simulator.failures.base import Failure, amount, require_link, text


@dataclass(frozen=True)
class LinkFailure(Failure):
    """A failure of one link."""

    link: str

    def check(self, isp: Blueprint) -> None:
        require_link(isp, self.link)


@dataclass(frozen=True)
class LinkCut(LinkFailure):
    """A fiber cut: no light on either end until it is healed."""

    kind: ClassVar[str] = "link_cut"

    def __str__(self) -> str:
        return f"link {self.link} ({self.id})"

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp, at
        return Effects(links_down=frozenset({self.link}))


@dataclass(frozen=True)
class Flap(LinkFailure):
    """A flapping link: down in the first half of each period, up in the second."""

    kind: ClassVar[str] = "flap"

    period_s: float

    @classmethod
    def parse_values(cls, values: Mapping[str, object]) -> dict[str, Any]:
        period = amount("period_s", values["period_s"], minimum=0.2, maximum=3600)
        return {"link": text("link", values["link"]), "period_s": period}

    @property
    def half(self) -> timedelta:
        return timedelta(seconds=self.period_s) / 2

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp
        is_down = (at - self.at) // self.half % 2 == 0
        return Effects(links_down=frozenset({self.link} if is_down else ()))

    def next_change_at(self, after: datetime) -> datetime:
        return self.at + ((after - self.at) // self.half + 1) * self.half


@dataclass(frozen=True)
class Latency(LinkFailure):
    """Added latency, each way, as by a detour in the carrier's network; the route stays the same."""

    kind: ClassVar[str] = "latency"

    ms: float

    @classmethod
    def parse_values(cls, values: Mapping[str, object]) -> dict[str, Any]:
        milliseconds = amount("ms", values["ms"], minimum=0.1, maximum=5000)
        return {"link": text("link", values["link"]), "ms": milliseconds}

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp, at
        return Effects(delays={self.link: timedelta(milliseconds=self.ms)})


@dataclass(frozen=True)
class Loss(LinkFailure):
    """Packet loss: this percentage of the echoes over the link never returns, counted per round trip."""

    kind: ClassVar[str] = "loss"

    pct: float

    @classmethod
    def parse_values(cls, values: Mapping[str, object]) -> dict[str, Any]:
        percent = amount("pct", values["pct"], minimum=0.1, maximum=100)
        return {"link": text("link", values["link"]), "pct": percent}

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp, at
        return Effects(losses={self.link: self.pct / 100})
