"""The latest values of one device, and whether they are fresh."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from agent.protocol.registry import METRICS
from apps.inventory.profiles import poll_seconds
from apps.pages.durations import format_duration
from apps.pages.states import BLIND, DOWN, UNKNOWN, UP, State
from apps.telemetry.queries import LatestValue, latest
from apps.telemetry.reachability import BLIND_AFTER

#: A value is outdated after this many missed polls.
MISSED_POLLS = 3


class LatestValues:
    """The latest values; ``fresh`` returns only those that are not outdated."""

    def __init__(
        self,
        *,
        metrics: Collection[str],
        entity_ids: Collection[UUID],
        profile: Mapping[str, float],
        at: datetime,
    ) -> None:
        self._at = at
        self._profile = profile
        self._read = {
            (key.entity_id, key.metric): value
            for key, value in latest(metrics=metrics, entity_ids=entity_ids).items()
            if not key.labels
        }

    def last(self, entity_id: UUID, metric: str) -> LatestValue | None:
        """The latest value, whatever its age."""
        return self._read.get((entity_id, metric))

    def fresh(self, entity_id: UUID, metric: str) -> LatestValue | None:
        """The latest value, or None when it is outdated."""
        read = self.last(entity_id, metric)
        return read if read and self._at - read.ts <= self._max_age(metric) else None

    def number(self, entity_id: UUID, metric: str) -> float | None:
        """The value, when it is fresh."""
        read = self.fresh(entity_id, metric)
        return read.value if read else None

    def text(self, entity_id: UUID, metric: str) -> str:
        """The text value, when it is fresh."""
        read = self.fresh(entity_id, metric)
        return read.text or "" if read else ""

    def state(self, entity_id: UUID, metric: str) -> State:
        """The state of a metric that is 1 for up and 0 for down."""
        read = self.last(entity_id, metric)
        if read is None or read.value is None:
            return UNKNOWN
        if self.fresh(entity_id, metric) is None:
            return BLIND
        return UP if read.value else DOWN

    def age(self, entity_id: UUID, metric: str) -> str:
        """The age of the latest value."""
        read = self.last(entity_id, metric)
        return format_duration(read.ts, self._at) if read else ""

    def _max_age(self, metric: str) -> timedelta:
        seconds = poll_seconds(self._profile, METRICS[metric].tier)
        return max(BLIND_AFTER, timedelta(seconds=MISSED_POLLS * seconds + 5))
