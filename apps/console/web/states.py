"""Readings as states of the screen."""

from collections.abc import Mapping

from apps.pages.states import BLIND, DOWN, UNKNOWN, UP, State
from apps.telemetry.reach import Reach

#: Nobody ever read such a device.
UNREAD = "unknown"

REACH: Mapping[str, State] = {
    Reach.UP: UP,
    Reach.DOWN: DOWN,
    Reach.BLIND: BLIND,
    UNREAD: UNKNOWN,
}
