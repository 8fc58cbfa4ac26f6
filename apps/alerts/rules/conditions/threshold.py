"""Condition ``threshold``: an aggregated number compared with a threshold."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from apps.alerts.rules.conditions.base import NUMBER, Bounds, Condition, Evaluation, Reading


class Aggregation(StrEnum):
    LAST = "last"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    P95 = "p95"
    SUM = "sum"
    COUNT = "count"


class Operator(StrEnum):
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    EQ = "eq"
    NE = "ne"


@dataclass(frozen=True)
class Threshold(Condition):
    """A number, or its absolute value, compared with a threshold. ``recover`` is the threshold for recovery
    (hysteresis)."""

    aggregation: Aggregation
    operator: Operator
    threshold: float
    recover: float
    is_absolute: bool = False

    type_name: ClassVar[str] = "threshold"
    properties: ClassVar[Mapping[str, Any]] = {
        "aggregation": {"enum": [row.value for row in Aggregation]},
        "operator": {"enum": [row.value for row in Operator]},
        "threshold": NUMBER,
        "recover": NUMBER,
        "absolute": {"type": "boolean"},
    }
    required: ClassVar[tuple[str, ...]] = ("operator", "threshold")
    needs_text: ClassVar[bool | None] = False

    @classmethod
    def _own_fields(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "aggregation": Aggregation(raw.get("aggregation", "last")),
            "operator": Operator(raw["operator"]),
            "threshold": float(raw["threshold"]),
            "recover": float(raw.get("recover", raw["threshold"])),
            "is_absolute": raw.get("absolute", False),
        }

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.threshold, self.recover)

    @property
    def history_seconds(self) -> float:
        return 0.0 if self.aggregation is Aggregation.LAST else self.lookback_seconds

    def evaluate(self, reading: Reading, bounds: Bounds | None, at: datetime) -> Evaluation | None:
        """Over the points within the lookback; None when there are none."""
        if reading.is_late:
            return None
        points = reading.points
        if self.aggregation is Aggregation.LAST:
            points = [] if reading.value is None else [(reading.ts, reading.value)]
        fresh = [(ts, value) for ts, value in points if self.is_fresh(ts, at)]
        if not fresh:
            return None
        value = aggregate(self.aggregation, [value for _, value in fresh])
        threshold, recover = bounds or self.bounds
        compare = _COMPARE[self.operator]
        compared = abs(value) if self.is_absolute else value
        return Evaluation(
            is_breach=compare(compared, threshold),
            is_clear=not compare(compared, recover),
            ts=fresh[-1][0],
            value_text=f"{value:g}",
            value=value,
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

_COMPARE: dict[Operator, Callable[[float, float], bool]] = {
    Operator.LT: lambda value, bound: value < bound,
    Operator.LE: lambda value, bound: value <= bound,
    Operator.GT: lambda value, bound: value > bound,
    Operator.GE: lambda value, bound: value >= bound,
    Operator.EQ: lambda value, bound: value == bound,
    Operator.NE: lambda value, bound: value != bound,
}
