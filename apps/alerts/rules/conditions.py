"""Judging a condition at a moment over what was read. Pure.

Missing data is neither a breach nor a recovery: a reading that is too old says nothing, and the alert keeps its
state. Only an absence rule speaks of silence.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.alerts.rules.program import Absence, Aggregation, Operator, StateIs, Threshold

Points = Sequence[tuple[datetime, float]]

_COMPARE: dict[Operator, Callable[[float, float], bool]] = {
    Operator.LT: lambda value, bound: value < bound,
    Operator.LE: lambda value, bound: value <= bound,
    Operator.GT: lambda value, bound: value > bound,
    Operator.GE: lambda value, bound: value >= bound,
    Operator.EQ: lambda value, bound: value == bound,
    Operator.NE: lambda value, bound: value != bound,
}


@dataclass(frozen=True)
class Reading:
    """What a condition says. ``is_breach`` and ``is_well`` may both be false: between the two thresholds."""

    is_breach: bool
    is_well: bool
    # When the value that decided was read; for an absence, when the silence became one.
    ts: datetime
    seen: str
    value: float | None = None
    # Silence is confirmed by itself; a value needs a second one.
    needs_second: bool = True


def judge_threshold(
    condition: Threshold, points: Points, at: datetime, *, threshold: float, recover: float
) -> Reading | None:
    """The condition over the points of its lookback; None when nothing fresh was read."""
    fresh = [(ts, v) for ts, v in points if at - _seconds(condition.lookback_seconds) < ts <= at]
    if not fresh:
        return None
    value = aggregate(condition.aggregation, [v for _, v in fresh])
    compare = _COMPARE[condition.operator]
    return Reading(
        is_breach=compare(value, threshold),
        is_well=not compare(value, recover),
        ts=fresh[-1][0],
        seen=f"{value:g}",
        value=value,
    )


def judge_state(condition: StateIs, ts: datetime, text: str, at: datetime) -> Reading | None:
    """The condition on the newest word; None when that is too old."""
    if not at - _seconds(condition.lookback_seconds) < ts <= at:
        return None
    is_bad = (text.lower() in condition.values) == condition.is_bad_when_listed
    return Reading(is_breach=is_bad, is_well=not is_bad, ts=ts, seen=text)


def judge_absence(condition: Absence, ts: datetime, at: datetime) -> Reading:
    """Whether something that was read before has been silent for too long."""
    silent_since = ts + _seconds(condition.lookback_seconds)
    is_silent = at >= silent_since
    return Reading(
        is_breach=is_silent,
        is_well=not is_silent,
        ts=silent_since if is_silent else ts,
        seen=f"last read {ts:%H:%M:%S}",
        needs_second=False,
    )


def aggregate(aggregation: Aggregation, values: Sequence[float]) -> float:
    """One number of several, in the order they were read."""
    return _AGGREGATE[aggregation](values)


def _p95(values: Sequence[float]) -> float:
    """The nearest rank: a value that was read, not one between two."""
    return sorted(values)[max(0, math.ceil(0.95 * len(values)) - 1)]


_AGGREGATE: dict[Aggregation, Callable[[Sequence[float]], float]] = {
    Aggregation.LAST: lambda values: values[-1],
    Aggregation.AVG: lambda values: math.fsum(values) / len(values),
    Aggregation.MIN: min,
    Aggregation.MAX: max,
    Aggregation.P95: _p95,
    Aggregation.SUM: math.fsum,
    Aggregation.COUNT: lambda values: float(len(values)),
}


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)
