"""Options and results of a measurement."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

GIB = 2**30


class WrongResult(Exception):
    """The measured code did not work: its time is meaningless."""


@dataclass(frozen=True)
class BenchOptions:
    """All input of a measurement: the same seed gives the same work."""

    seed: int
    rounds: int
    echo: Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """One number; ``most`` is the limit that it should not exceed."""

    name: str
    value: float
    unit: str
    most: float | None = None

    @property
    def is_met(self) -> bool:
        return self.most is None or self.value <= self.most

    def __str__(self) -> str:
        text = f"{self.name}: {self.value:.4g} {self.unit}".rstrip()
        if self.most is None:
            return text
        return f"{text} ({'within' if self.is_met else 'OVER'} {self.most:g})"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "is_met": self.is_met}


#: Raises WrongResult if the measured code does not work.
Bench = Callable[[BenchOptions], Sequence[Figure]]


def machine() -> dict[str, Any]:
    """The machine of the figures: usable cores, and memory in GiB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return {"cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory)}
