"""Results of a story: expected and actual values, and durations."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

BUDGET_SECONDS = 30.0


@dataclass(frozen=True)
class Comparison:
    """One comparison."""

    what: str
    expected: str
    actual: str
    is_right: bool

    def line(self) -> str:
        mark = "ok    " if self.is_right else "WRONG "
        return f"  {mark} {self.what}: expected {self.expected}; actual {self.actual}"


@dataclass(frozen=True)
class Timing:
    """Seconds from the failure to each step of one incident; None if it was not reached."""

    cause: str
    to_incident: float | None
    to_cause: float | None
    to_delivery: float | None


@dataclass
class Report:
    """The comparisons of one story and the timing of its incidents."""

    comparisons: list[Comparison] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    #: Verdict of each incident by its expected cause, without times and confidence.
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return bool(self.comparisons) and all(
            comparison.is_right for comparison in self.comparisons
        )

    def equal(self, what: str, expected: object, actual: object) -> None:
        """Expected and actual value must be equal."""
        self.comparisons.append(
            Comparison(what, _plain(expected), _plain(actual), expected == actual)
        )

    def holds(self, what: str, expected: str, actual: object, *, is_right: bool) -> None:
        """A comparison that is not plain equality."""
        self.comparisons.append(Comparison(what, expected, _plain(actual), is_right))


@dataclass(frozen=True)
class Milestones:
    """When each step from the failure to the webhook receiver was reached."""

    failed_at: datetime
    detected_at: datetime
    fired_at: datetime
    opened_at: datetime
    delivered_at: datetime

    @property
    def total_seconds(self) -> float:
        return (self.delivered_at - self.failed_at).total_seconds()

    def lines(self) -> list[str]:
        """The parts of the 30 seconds."""
        parts = (
            ("failure to first bad sample (poll, probe)", self.failed_at, self.detected_at),
            ("confirmed, fired (for)", self.detected_at, self.fired_at),
            ("correlated, opened (tick, hold)", self.fired_at, self.opened_at),
            ("signed, delivered, verified", self.opened_at, self.delivered_at),
        )
        delivered = [
            f"    {(end - start).total_seconds():6.1f} s  {name}" for name, start, end in parts
        ]
        return [
            *delivered,
            f"    {self.total_seconds:6.1f} s  in total (budget {BUDGET_SECONDS:.0f} s)",
        ]


def _plain(value: Any) -> str:
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(map(str, value))) or "nothing"
    return str(value)
