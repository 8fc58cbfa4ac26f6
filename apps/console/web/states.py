"""Reachability as display states."""

from collections.abc import Mapping

from apps.pages.states import BLIND, DOWN, UNKNOWN, UP, State
from apps.telemetry.reachability import Reachability

#: A device that was never polled.
UNKNOWN_REACHABILITY = "unknown"

REACHABILITY_STATES: Mapping[str, State] = {
    Reachability.UP: UP,
    Reachability.DOWN: DOWN,
    Reachability.BLIND: BLIND,
    UNKNOWN_REACHABILITY: UNKNOWN,
}
