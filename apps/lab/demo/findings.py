"""What was expected, what was seen, and how long each part took."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

BUDGET_SECONDS = 30.0


@dataclass(frozen=True)
class Finding:
    """One comparison."""

    what: str
    expected: str
    seen: str
    is_right: bool

    def line(self) -> str:
        mark = "ok    " if self.is_right else "WRONG "
        return f"  {mark} {self.what}: expected {self.expected}; seen {self.seen}"


@dataclass(frozen=True)
class Pace:
    """How fast one incident was told, in seconds from the failure; None where it was not."""

    cause: str
    to_incident: float | None
    to_cause: float | None
    to_delivery: float | None


@dataclass
class Report:
    """The findings of one story, and how fast each of its incidents was told."""

    findings: list[Finding] = field(default_factory=list)
    paces: list[Pace] = field(default_factory=list)
    #: What the platform said of each incident, by its expected cause, apart from when and how surely.
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return bool(self.findings) and all(finding.is_right for finding in self.findings)

    def equal(self, what: str, expected: object, seen: object) -> None:
        """The two must be the same."""
        self.findings.append(Finding(what, _plain(expected), _plain(seen), expected == seen))

    def holds(self, what: str, expected: str, seen: object, *, is_right: bool) -> None:
        """A comparison that is not plain equality."""
        self.findings.append(Finding(what, expected, _plain(seen), is_right))


@dataclass(frozen=True)
class Moments:
    """When each part of the way from the failure to the receiver was done."""

    broken: datetime
    seen: datetime
    fired: datetime
    opened: datetime
    delivered: datetime

    @property
    def total_seconds(self) -> float:
        return (self.delivered - self.broken).total_seconds()

    def lines(self) -> list[str]:
        """The parts of the 30 seconds."""
        parts = (
            ("failure to first bad reading (poll, probe)", self.broken, self.seen),
            ("confirmed, fired (for)", self.seen, self.fired),
            ("held, explained, opened (tick, hold)", self.fired, self.opened),
            ("signed, delivered, verified", self.opened, self.delivered),
        )
        told = [f"    {(end - start).total_seconds():6.1f} s  {name}" for name, start, end in parts]
        return [*told, f"    {self.total_seconds:6.1f} s  in all (budget {BUDGET_SECONDS:.0f} s)"]


def _plain(value: Any) -> str:
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(map(str, value))) or "nothing"
    return str(value)
