"""The strip of the last 24 hours: incidents as bars, closed ones gray."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from apps.authorization.access import Access
from apps.incidents.models import Incident
from apps.incidents.selectors import incidents_within

WIDTH = 1200
#: The number of bars above each other; further incidents are only counted.
LANES = 6
LANE_HEIGHT = 14
#: The width below which a bar is not visible.
MIN_BAR_WIDTH = 3.0
#: The width of a character of a label.
CHARACTER_WIDTH = 6.2
LABEL_INTERVAL_HOURS = 3


@dataclass(frozen=True)
class Bar:
    """One incident."""

    id: UUID
    x: str
    y: int
    width: str
    look: str
    label: str
    label_x: str
    label_y: int
    anchor: str
    title: str


@dataclass(frozen=True)
class Tick:
    """A whole hour on the axis."""

    x: str
    label: str


@dataclass(frozen=True)
class Day:
    """The strip with its bars and ticks."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    total: int
    #: Lanes that are in use.
    lanes: int

    @property
    def axis(self) -> int:
        """The vertical position of the axis."""
        return 10 + max(self.lanes, 2) * LANE_HEIGHT

    @property
    def height(self) -> int:
        """The height with the labels of the hours."""
        return self.axis + 13

    @property
    def unshown(self) -> int:
        """Incidents that do not fit into the lanes."""
        return self.total - len(self.bars)


def day_of(access: Access, *, start: datetime, end: datetime) -> Day:
    """Incidents that were open in this period. One query."""
    rows = incidents_within(access, start=start, end=end)
    free_from = [0.0] * LANES
    bars = []
    for row in rows:
        x = max(0.0, _x(row.started_at, start, end))
        width = max(MIN_BAR_WIDTH, _x(row.ended_at or end, start, end) - x)
        label = f"INC-{row.number}"
        room = len(label) * CHARACTER_WIDTH + 8
        is_before = x > room and x + width + room > WIDTH
        left, right = (x - room, x + width) if is_before else (x, x + width + room)
        lane = next((n for n in range(LANES) if free_from[n] <= left), None)
        if lane is None:
            continue
        free_from[lane] = right
        bars.append(_bar(row, x, width, lane, label, is_before=is_before))
    used = sum(1 for end_of_lane in free_from if end_of_lane)
    return Day(tuple(bars), _ticks(start, end), len(rows), used)


def _bar(row: Incident, x: float, width: float, lane: int, label: str, *, is_before: bool) -> Bar:
    return Bar(
        id=row.id,
        x=f"{x:.1f}",
        y=6 + lane * LANE_HEIGHT,
        width=f"{width:.1f}",
        look=row.severity if row.is_open else "closed",
        label=label,
        label_x=f"{x - 6 if is_before else x + width + 6:.1f}",
        label_y=14 + lane * LANE_HEIGHT,
        anchor="end" if is_before else "start",
        title=str(row),
    )


def _x(moment: datetime, start: datetime, end: datetime) -> float:
    return (moment - start) / (end - start) * WIDTH


def _ticks(start: datetime, end: datetime) -> tuple[Tick, ...]:
    hour = start.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    ticks = []
    while hour < end:
        x = _x(hour, start, end)
        is_named = hour.hour % LABEL_INTERVAL_HOURS == 0 and 20 < x < WIDTH - 40  # noqa: PLR2004
        ticks.append(Tick(f"{x:.1f}", f"{hour:%H:%M}" if is_named else ""))
        hour += timedelta(hours=1)
    return tuple(ticks)
