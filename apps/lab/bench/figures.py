"""What a measurement is asked, and what it answers."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

GIB = 2**30


class WrongResult(Exception):
    """What was measured did not do what it should: its time says nothing."""


@dataclass(frozen=True)
class BenchOptions:
    """A measurement's whole input: the same seed measures the same work."""

    seed: int
    rounds: int
    say: Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """One number; ``most`` is the aim that it should not pass."""

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


#: Raises WrongResult when what it measures does not work.
Bench = Callable[[BenchOptions], Sequence[Figure]]


def machine() -> dict[str, Any]:
    """The machine that figures belong to: cores that we may use, and memory in GiB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return {"cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory)}
