"""Evaluation of rule conditions over samples at one moment. Pure.

Missing data is neither a breach nor a recovery: samples older than the lookback are ignored, and the alert keeps its
state. Only an absence rule fires on missing data.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.alerts.messages import LAST_SAMPLE
from apps.alerts.rules.program import Absence, Aggregation, Operator, StateIs, Threshold
from apps.core.messages import Message

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
class Evaluation:
    """Result of a condition. ``is_breach`` and ``is_clear`` may both be false: between the two thresholds."""

    is_breach: bool
    is_clear: bool
    # Timestamp of the deciding sample; for an absence, when the lookback ran out.
    ts: datetime
    #: The value in English; where it is a sentence, ``message`` has it for readers.
    value_text: str
    value: float | None = None
    message: Message | None = None
    # A breach by value needs a second sample; an absence does not.
    needs_confirmation: bool = True


def evaluate_threshold(
    condition: Threshold, points: Points, at: datetime, *, threshold: float, recover: float
) -> Evaluation | None:
    """Evaluate over the points within the lookback; None when there are none."""
    fresh = [(ts, v) for ts, v in points if at - _seconds(condition.lookback_seconds) < ts <= at]
    if not fresh:
        return None
    value = aggregate(condition.aggregation, [v for _, v in fresh])
    compare = _COMPARE[condition.operator]
    return Evaluation(
        is_breach=compare(value, threshold),
        is_clear=not compare(value, recover),
        ts=fresh[-1][0],
        value_text=f"{value:g}",
        value=value,
    )


def evaluate_state(condition: StateIs, ts: datetime, text: str, at: datetime) -> Evaluation | None:
    """Evaluate the newest text value; None when it is older than the lookback."""
    if not at - _seconds(condition.lookback_seconds) < ts <= at:
        return None
    is_bad = (text.lower() in condition.values) == condition.is_bad_when_listed
    return Evaluation(is_breach=is_bad, is_clear=not is_bad, ts=ts, value_text=text)


def evaluate_absence(condition: Absence, ts: datetime, at: datetime) -> Evaluation:
    """Whether there has been no sample for the lookback; ``ts`` is that of the newest one."""
    time = f"{ts:%H:%M:%S}"
    absent_since = ts + _seconds(condition.lookback_seconds)
    is_absent = at >= absent_since
    return Evaluation(
        is_breach=is_absent,
        is_clear=not is_absent,
        ts=absent_since if is_absent else ts,
        value_text=f"last sample at {time}",
        message=Message(LAST_SAMPLE, {"time": time}),
        needs_confirmation=False,
    )


def aggregate(aggregation: Aggregation, values: Sequence[float]) -> float:
    """Aggregate values that are ordered by time."""
    return _AGGREGATE[aggregation](values)


def _p95(values: Sequence[float]) -> float:
    """95th percentile by nearest rank: always one of the values, never an interpolation."""
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
