"""Reachability as display states."""

from collections.abc import Mapping

from apps.pages.states import BLIND, DOWN, UNKNOWN, UP, State
from apps.telemetry.reachability import Reachability

#: The device was never polled.
UNREAD = "unknown"

REACH: Mapping[str, State] = {
    Reachability.UP: UP,
    Reachability.DOWN: DOWN,
    Reachability.BLIND: BLIND,
    UNREAD: UNKNOWN,
}
