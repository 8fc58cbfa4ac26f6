"""Something that comes and goes: judged by how often it changed, whatever it is just now. Pure.

Changes are counted as a set of moments within a window, so that it makes no difference in which order, how often or
how late their reports arrived.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.alerts.rules.program import Flap


@dataclass(frozen=True)
class Flapping:
    """How often it changed, and since when it has been doing so."""

    since: datetime
    turns: int


def judge_flapping(
    flap: Flap, turns: Iterable[datetime], at: datetime, *, was_flapping: bool
) -> Flapping | None:
    """Whether it flaps at ``at``: more changes within the window than the rule allows. Once it does, it goes on until
    it has been quiet for long enough; changes that are further back than that start nothing."""
    window = timedelta(seconds=flap.window_seconds)
    seen = sorted({ts for ts in turns if at - window < ts <= at})
    if not seen or at - seen[-1] >= timedelta(seconds=flap.quiet_seconds):
        return None
    if not was_flapping and len(seen) <= flap.transitions:
        return None
    return Flapping(seen[0], len(seen))
