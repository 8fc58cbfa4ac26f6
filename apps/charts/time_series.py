"""Time series for charts: columns over one time axis. A gap is null, never zero."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from apps.telemetry.queries import Bucket, BucketedRange, buckets_of

POINTS = 240
#: A bucket holds two and a half polls, so that polling jitter makes no gaps.
POLLS_PER_POINT = 2.5
#: Fewest samples for a 95th percentile.
MIN_SAMPLES = 20


@dataclass(frozen=True)
class Line:
    """One series; ``look`` names a data colour of the CSS tokens, ``scale`` the axis."""

    label: str
    values: Sequence[float | None]
    look: str = "data"
    scale: str = "y"
    unit: str = ""
    lows: Sequence[float | None] = ()
    highs: Sequence[float | None] = ()

    def as_document(self) -> dict[str, Any]:
        """JSON-safe."""
        return {
            "label": self.label,
            "look": self.look,
            "scale": self.scale,
            "unit": self.unit,
            "values": list(self.values),
            "lows": list(self.lows),
            "highs": list(self.highs),
            "p95": percentile_95(self.values),
        }


@dataclass(frozen=True)
class Mark:
    """An event marker: a line, or a range while it lasts."""

    at: datetime
    label: str
    look: str = "info"
    until: datetime | None = None
    url: str = ""
    number: int | None = None

    def as_document(self) -> dict[str, Any]:
        """JSON-safe; times as Unix seconds."""
        return {
            "at": self.at.timestamp(),
            "until": self.until.timestamp() if self.until else None,
            "label": self.label,
            "look": self.look,
            "url": self.url,
            "number": self.number,
        }


@dataclass(frozen=True)
class Chart:
    """A chart: series and markers on one time axis."""

    time_range: BucketedRange
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...] = field(default=())

    def as_document(self) -> dict[str, Any]:
        """JSON-safe, as the chart module of the page reads it."""
        start, width = self.time_range.start.timestamp(), self.time_range.width.total_seconds()
        return {
            "from": start,
            "to": self.time_range.end.timestamp(),
            "step": width,
            "times": [start + width * i for i in range(self.time_range.number)],
            "lines": [line.as_document() for line in self.lines],
            "marks": [mark.as_document() for mark in self.marks],
        }


def span_for(start: datetime, end: datetime, *, poll_seconds: float) -> BucketedRange:
    """The finest resolution that the chart width and the polling interval allow."""
    coarsest = timedelta(seconds=poll_seconds * POLLS_PER_POINT)
    return BucketedRange(start, end, points=max(1, min(POINTS, int((end - start) / coarsest))))


def gauge_line(
    buckets: Sequence[Bucket], *, label: str, look: str = "data", scale: str = "y", unit: str = ""
) -> Line:
    """A gauge with its band from minimum to maximum."""
    return Line(
        label=label,
        look=look,
        scale=scale,
        unit=unit,
        values=[bucket.average for bucket in buckets],
        lows=[bucket.minimum for bucket in buckets],
        highs=[bucket.maximum for bucket in buckets],
    )


def total_of(
    metric: str, entity_ids: Collection[UUID], time_range: BucketedRange
) -> list[float | None]:
    """The sum per bucket over entities with samples in the span; None in a bucket in which one of them has none. One
    query."""
    found = buckets_of(metrics=[metric], entity_ids=entity_ids, time_range=time_range)
    return _sums([[b.average for b in rows] for key, rows in found.items() if not key.labels])


def _sums(columns: Iterable[Sequence[float | None]]) -> list[float | None]:
    return [
        None
        if any(value is None for value in row)
        else sum(value for value in row if value is not None)
        for row in zip(*columns, strict=True)
    ]


def percentile_95(values: Sequence[float | None]) -> float | None:
    """The 95th percentile as transit is billed: the value that 95 % of the samples do not exceed."""
    known = sorted(value for value in values if value is not None)
    return known[max(0, -(-len(known) * 95 // 100) - 1)] if len(known) >= MIN_SAMPLES else None
