"""Flap detection: by the number of state changes in a window, whatever the current state is. Pure.

State changes are counted as a set of timestamps, so the order, the number and the delay of their reports do not matter.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.alerts.rules.program import Flap


@dataclass(frozen=True)
class Flapping:
    """Number of state changes in the window, and the time of the first one."""

    since: datetime
    state_changes: int


def detect_flapping(
    flap: Flap, state_changes: Iterable[datetime], at: datetime, *, was_flapping: bool
) -> Flapping | None:
    """Flapping starts with more state changes within the window than the rule allows, and lasts until none has
    occurred for ``quiet_seconds``."""
    window = timedelta(seconds=flap.window_seconds)
    recent = sorted({ts for ts in state_changes if at - window < ts <= at})
    if not recent or at - recent[-1] >= timedelta(seconds=flap.quiet_seconds):
        return None
    if not was_flapping and len(recent) <= flap.transitions:
        return None
    return Flapping(recent[0], len(recent))
