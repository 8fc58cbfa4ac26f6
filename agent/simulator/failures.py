"""What can go wrong. One class per kind of failure: adding a kind is adding a class to KINDS."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from agent.simulator.blueprint import Blueprint


class UnknownFailure(ValueError):
    """Nobody knows how to break that."""

    code = "unknown_kind"


class UnknownTarget(ValueError):
    """There is no such thing to break."""

    code = "unknown_link"


class MalformedFailure(ValueError):
    """The description is not one of a failure."""

    code = "malformed"


class Failure(Protocol):
    """One thing that is broken until somebody heals it."""

    kind: ClassVar[str]

    @property
    def id(self) -> str: ...

    @property
    def at(self) -> datetime: ...

    def breaks(self, link_id: str) -> bool:
        """Whether this alone keeps the link down."""
        ...

    def describe(self) -> dict[str, str]:
        """As JSON; `failure_from` reads it back."""
        ...


@dataclass(frozen=True)
class LinkCut:
    """The excavator: no light on either end until the splice."""

    kind: ClassVar[str] = "link_cut"

    id: str
    at: datetime
    link: str

    @classmethod
    def plan(
        cls, failure_id: str, at: datetime, wish: Mapping[str, object], isp: Blueprint
    ) -> "LinkCut":
        """Raises MalformedFailure, UnknownTarget."""
        link = wish.get("link")
        if not isinstance(link, str) or set(wish) - {"kind", "link"}:
            raise MalformedFailure('A link cut is {"kind": "link_cut", "link": ID}.')
        if isp.link(link) is None:
            raise UnknownTarget("There is no such link; GET /links lists them.")
        return cls(failure_id, at, link)

    def __str__(self) -> str:
        return f"link {self.link} ({self.id})"

    def breaks(self, link_id: str) -> bool:
        return link_id == self.link

    def describe(self) -> dict[str, str]:
        return {"id": self.id, "kind": self.kind, "link": self.link, "at": self.at.isoformat()}


Planner = Callable[[str, datetime, Mapping[str, object], Blueprint], Failure]

KINDS: Mapping[str, Planner] = {LinkCut.kind: LinkCut.plan}


def plan_failure(
    failure_id: str, at: datetime, wish: Mapping[str, object], isp: Blueprint
) -> Failure:
    """The failure that somebody wishes for.

    Raises UnknownFailure, and what the kind's own `plan` raises.
    """
    kind = wish.get("kind")
    if not isinstance(kind, str):
        raise MalformedFailure("A failure names its kind.")
    if kind not in KINDS:
        raise UnknownFailure(
            "There is no such kind of failure; there is: " + ", ".join(KINDS) + "."
        )
    return KINDS[kind](failure_id, at, wish, isp)


def failure_from(document: Mapping[str, str], isp: Blueprint) -> Failure:
    """The failure that `describe` wrote down."""
    wish = {key: value for key, value in document.items() if key not in {"id", "at"}}
    return plan_failure(document["id"], datetime.fromisoformat(document["at"]), wish, isp)
