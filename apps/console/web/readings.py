"""The newest readings of one device, and how far they may be believed."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from agent.protocol.registry import METRICS, Tier
from apps.inventory.profiles import polling_profile
from apps.pages.durations import format_duration
from apps.pages.states import BLIND, DOWN, UNKNOWN, UP, State
from apps.telemetry.queries import LatestValue, latest
from apps.telemetry.reachability import BLIND_AFTER

_SECONDS = {
    Tier.FAST: "fast_s",
    Tier.MEDIUM: "medium_s",
    Tier.SLOW: "slow_s",
    Tier.DAILY: "daily_s",
}
#: A reading may be missed twice before what it said is old.
MISSES = 3


def poll_seconds(profile: Mapping[str, float], tier: Tier) -> float:
    """How often a tier is read by a device's profile."""
    return polling_profile(profile)[_SECONDS[tier]]


class Readings:
    """What was read last; ``fresh`` only speaks of what is not too old to be called now."""

    def __init__(
        self,
        *,
        metrics: Collection[str],
        entity_ids: Collection[UUID],
        profile: Mapping[str, float],
        at: datetime,
    ) -> None:
        self._at = at
        self._profile = polling_profile(profile)
        self._read = {
            (key.entity_id, key.metric): value
            for key, value in latest(metrics=metrics, entity_ids=entity_ids).items()
            if not key.labels
        }

    def last(self, entity_id: UUID, metric: str) -> LatestValue | None:
        """Whatever its age."""
        return self._read.get((entity_id, metric))

    def fresh(self, entity_id: UUID, metric: str) -> LatestValue | None:
        """Nothing when it is too old."""
        read = self.last(entity_id, metric)
        return read if read and self._at - read.ts <= self._patience(metric) else None

    def number(self, entity_id: UUID, metric: str) -> float | None:
        """The value, when it is fresh."""
        read = self.fresh(entity_id, metric)
        return read.value if read else None

    def text(self, entity_id: UUID, metric: str) -> str:
        """The word, when it is fresh."""
        read = self.fresh(entity_id, metric)
        return read.text or "" if read else ""

    def state(self, entity_id: UUID, metric: str) -> State:
        """Of a reading that is 1 for up and 0 for down."""
        read = self.last(entity_id, metric)
        if read is None or read.value is None:
            return UNKNOWN
        if self.fresh(entity_id, metric) is None:
            return BLIND
        return UP if read.value else DOWN

    def age(self, entity_id: UUID, metric: str) -> str:
        """How long ago it was read."""
        read = self.last(entity_id, metric)
        return format_duration(read.ts, self._at) if read else ""

    def _patience(self, metric: str) -> timedelta:
        seconds = self._profile[_SECONDS[METRICS[metric].tier]]
        return max(BLIND_AFTER, timedelta(seconds=MISSES * seconds + 5))
