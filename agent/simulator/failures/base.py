"""Base of all failures: created from a specification, described as JSON, with effects on the network."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Self

from agent.simulator.blueprint import Blueprint
from agent.simulator.effects import Effects

CONFIG_CHANGE = "config_change"  # requested like a failure, but there is nothing to heal


class UnknownFailure(ValueError):
    """Unknown kind of failure."""

    code = "unknown_kind"


class UnknownTarget(ValueError):
    """The target of the failure does not exist."""

    def __init__(self, thing: str, endpoint: str) -> None:
        super().__init__(f"No such {thing}; see {endpoint}.")
        self.code = f"unknown_{thing.replace(' ', '_')}"


class MalformedFailure(ValueError):
    """The specification of the failure is invalid."""

    code = "malformed"


@dataclass(frozen=True)
class Failure(ABC):
    """One failure, until it is healed or ends by itself.

    The fields of a subclass are the fields of its specification: `link`, `device`, numbers.
    """

    kind: ClassVar[str]

    id: str
    at: datetime

    @classmethod
    def create(
        cls, failure_id: str, at: datetime, spec: Mapping[str, object], isp: Blueprint
    ) -> Self:
        """Raises MalformedFailure, UnknownTarget."""
        values = {key: value for key, value in spec.items() if key != "kind"}
        if set(values) != set(cls.own_fields()):
            fields_text = "".join(f', "{name}": …' for name in cls.own_fields())
            raise MalformedFailure(f'A {cls.kind} is {{"kind": "{cls.kind}"{fields_text}}}.')
        failure = cls(failure_id, at, **cls.parse_values(values))
        failure.check(isp)
        return failure

    @classmethod
    def own_fields(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls) if field.name not in {"id", "at"})

    @classmethod
    def parse_values(cls, values: Mapping[str, object]) -> dict[str, Any]:
        """The values, converted to the types of the fields. Raises MalformedFailure."""
        return {name: text(name, value) for name, value in values.items()}

    @abstractmethod
    def check(self, isp: Blueprint) -> None:
        """Raises UnknownTarget, MalformedFailure."""

    @abstractmethod
    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        """The effects of this failure alone at this time."""

    def next_change_at(self, after: datetime) -> datetime | None:
        """Time of the next change of its effects without user action."""
        del after
        return None

    def has_ended(self, *, at: datetime) -> bool:
        """Whether it has ended by itself by this time."""
        del at
        return False

    def describe(self) -> dict[str, object]:
        """As JSON; the inverse of `failure_from`."""
        own = {name: getattr(self, name) for name in self.own_fields()}
        return {"id": self.id, "kind": self.kind, **own, "at": self.at.isoformat()}

    def __str__(self) -> str:
        own = " ".join(str(getattr(self, name)) for name in self.own_fields())
        return f"{self.kind} {own} ({self.id})"


def text(name: str, value: object) -> str:
    """Raises MalformedFailure."""
    if not isinstance(value, str):
        raise MalformedFailure(f"`{name}` must be a text.")
    return value


def amount(name: str, value: object, *, minimum: float, maximum: float) -> float:
    """Raises MalformedFailure."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not minimum <= float(str(value)) <= maximum:
        raise MalformedFailure(f"`{name}` must be a number from {minimum:g} to {maximum:g}.")
    return float(str(value))


def require_link(isp: Blueprint, link: str) -> None:
    """Raises UnknownTarget."""
    if isp.link(link) is None:
        raise UnknownTarget("link", "GET /links")


def require_device(isp: Blueprint, device: str) -> None:
    """Raises UnknownTarget."""
    if not any(router.name == device for router in isp.routers):
        raise UnknownTarget("device", "GET /topology")
