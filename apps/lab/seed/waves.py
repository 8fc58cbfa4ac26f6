"""Sample values as functions of time: the same time always gives the same value. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import cos, pi, sin
from random import Random

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 86_400.0
#: Periods in seconds and their shares: the day, and three faster ones that are not multiples of each other.
_PERIODS = ((DAY, 0.62), (19_300.0, 0.18), (2_270.0, 0.12), (431.0, 0.08))
#: Subscribers are busiest at nine in the evening.
_BUSIEST = 21 / 24


def seconds_of(at: datetime) -> float:
    """Since the origin of all waves."""
    return (at - ORIGIN).total_seconds()


@dataclass(frozen=True)
class Wave:
    """Swings between ``low`` and ``low + swing``, mostly with the day."""

    low: float
    swing: float
    phases: tuple[float, ...]

    @classmethod
    def draw(cls, rng: Random, *, low: float, swing: float) -> "Wave":
        """With phases of its own, but for the day's."""
        evening = pi / 2 - 2 * pi * _BUSIEST + rng.gauss(0, 0.15)
        return cls(low, swing, (evening, *(rng.uniform(0, 2 * pi) for _ in _PERIODS[1:])))

    def value(self, seconds: float) -> float:
        """At a moment."""
        swung = sum(
            share * (1 + sin(2 * pi * seconds / period + phase)) / 2
            for (period, share), phase in zip(_PERIODS, self.phases, strict=True)
        )
        return self.low + self.swing * swung

    def total(self, seconds: float) -> float:
        """What a counter that grows by ``value`` per second has counted since the origin."""
        swung = sum(
            share * (seconds - cos(2 * pi * seconds / period + phase) * period / (2 * pi)) / 2
            for (period, share), phase in zip(_PERIODS, self.phases, strict=True)
        )
        return self.low * seconds + self.swing * swung
