"""What all failures have in common: planned from a wish, described as JSON, summed up as effects."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Self

from agent.simulator.blueprint import Blueprint
from agent.simulator.effects import Effects

CONFIG_CHANGE = "config_change"  # wished for like a failure, but there is nothing to heal


class UnknownFailure(ValueError):
    """Nobody knows how to break that."""

    code = "unknown_kind"


class UnknownTarget(ValueError):
    """There is no such thing to break."""

    def __init__(self, thing: str, where: str) -> None:
        super().__init__(f"There is no such {thing}; {where} lists them.")
        self.code = f"unknown_{thing.replace(' ', '_')}"


class MalformedFailure(ValueError):
    """The description is not one of a failure."""

    code = "malformed"


@dataclass(frozen=True)
class Failure(ABC):
    """One thing that is broken until somebody heals it, or until it is over by itself.

    A subclass's own fields are what a wish names: `link`, `device`, numbers.
    """

    kind: ClassVar[str]

    id: str
    at: datetime

    @classmethod
    def plan(
        cls, failure_id: str, at: datetime, wish: Mapping[str, object], isp: Blueprint
    ) -> Self:
        """Raises MalformedFailure, UnknownTarget."""
        given = {key: value for key, value in wish.items() if key != "kind"}
        if set(given) != set(cls.own_fields()):
            named = "".join(f', "{name}": …' for name in cls.own_fields())
            raise MalformedFailure(f'A {cls.kind} is {{"kind": "{cls.kind}"{named}}}.')
        failure = cls(failure_id, at, **cls.checked(given))
        failure.check(isp)
        return failure

    @classmethod
    def own_fields(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls) if field.name not in {"id", "at"})

    @classmethod
    def checked(cls, given: Mapping[str, object]) -> dict[str, Any]:
        """The values, each of its field's type. Raises MalformedFailure."""
        return {name: text(name, value) for name, value in given.items()}

    @abstractmethod
    def check(self, isp: Blueprint) -> None:
        """Raises UnknownTarget, MalformedFailure."""

    @abstractmethod
    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        """What this alone does at that time."""

    def next_turn(self, after: datetime) -> datetime | None:
        """When it will change its effects by itself."""
        del after
        return None

    def is_over(self, *, at: datetime) -> bool:
        """Whether it has healed by itself by then."""
        del at
        return False

    def describe(self) -> dict[str, object]:
        """As JSON; `failure_from` reads it back."""
        own = {name: getattr(self, name) for name in self.own_fields()}
        return {"id": self.id, "kind": self.kind, **own, "at": self.at.isoformat()}

    def __str__(self) -> str:
        own = " ".join(str(getattr(self, name)) for name in self.own_fields())
        return f"{self.kind} {own} ({self.id})"


def text(name: str, value: object) -> str:
    """Raises MalformedFailure."""
    if not isinstance(value, str):
        raise MalformedFailure(f"`{name}` is a text.")
    return value


def amount(name: str, value: object, *, least: float, most: float) -> float:
    """Raises MalformedFailure."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= float(str(value)) <= most:
        raise MalformedFailure(f"`{name}` is a number from {least:g} to {most:g}.")
    return float(str(value))


def require_link(isp: Blueprint, link: str) -> None:
    """Raises UnknownTarget."""
    if isp.link(link) is None:
        raise UnknownTarget("link", "GET /links")


def require_device(isp: Blueprint, device: str) -> None:
    """Raises UnknownTarget."""
    if not any(router.name == device for router in isp.routers):
        raise UnknownTarget("device", "GET /topology")
