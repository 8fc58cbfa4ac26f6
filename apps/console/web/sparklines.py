"""Sparklines as SVG paths. A gap is hatched; it is neither zero nor interpolated."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 88, 20, 2


@dataclass(frozen=True)
class Gap:
    """A period without samples."""

    x: str
    width: str


@dataclass(frozen=True)
class Spark:
    """A line of WIDTH by HEIGHT, up to the highest value."""

    path: str
    gaps: tuple[Gap, ...]


def spark(values: Sequence[float | None], *, from_zero: bool = True) -> Spark | None:
    """None with fewer than two samples. The time before the first sample is no gap. A level that is never near
    zero may be drawn from its lowest value."""
    known = [i for i, value in enumerate(values) if value is not None]
    if len(known) < 2:  # noqa: PLR2004
        return None
    read = [value for value in values if value is not None]
    low = 0.0 if from_zero else min(read)
    top = (max(read) - low) or 1.0
    step = WIDTH / max(1, len(values) - 1)
    parts: list[str] = []
    gaps: list[list[float]] = []
    pen_down = False
    for index in range(known[0], len(values)):
        value, x = values[index], index * step
        if value is None:
            if not gaps or pen_down:
                gaps.append([x - step, x])
            gaps[-1][1] = min(WIDTH, x + step)
            pen_down = False
            continue
        y = HEIGHT - MARGIN - (value - low) / top * (HEIGHT - 2 * MARGIN)
        parts.append(f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}")
        pen_down = True
    return Spark(
        "".join(parts), tuple(Gap(f"{start:.1f}", f"{end - start:.1f}") for start, end in gaps)
    )
