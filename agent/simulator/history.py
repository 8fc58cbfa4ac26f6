"""State history of a link, port, session or router."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True)
class StateRecord:
    """Current state and its start, number of outages, and total time up."""

    up: bool
    since: datetime
    downs: int = 0
    last_down: datetime | None = None
    last_up: datetime | None = None
    seconds_before: float = 0.0  # up, before `since`

    def with_state(self, *, up: bool, at: datetime) -> "StateRecord":
        """The record after a change of state at this time; the same record if nothing changed."""
        if up == self.up:
            return self
        if up:
            return replace(self, up=True, since=at, last_up=at)
        return replace(
            self,
            up=False,
            since=at,
            downs=self.downs + 1,
            last_down=at,
            last_up=self.last_up or self.since,
            seconds_before=self.seconds_up(at),
        )

    def seconds_up(self, at: datetime) -> float:
        """Total time up, from which traffic counters are derived."""
        if not self.up:
            return self.seconds_before
        return self.seconds_before + max(0.0, (at - self.since).total_seconds())

    def describe(self) -> dict[str, object]:
        return {
            "up": self.up,
            "since": self.since.isoformat(),
            "downs": self.downs,
            "last_down": None if self.last_down is None else self.last_down.isoformat(),
            "last_up": None if self.last_up is None else self.last_up.isoformat(),
            "seconds_before": self.seconds_before,
        }

    @staticmethod
    def from_document(document: Mapping[str, object]) -> "StateRecord":
        """The inverse of `describe`. Raises ValueError, KeyError or TypeError."""

        def optional_time(key: str) -> datetime | None:
            value = document[key]
            return None if value is None else datetime.fromisoformat(str(value))

        return StateRecord(
            up=document["up"] is True,
            since=datetime.fromisoformat(str(document["since"])),
            downs=int(str(document["downs"])),
            last_down=optional_time("last_down"),
            last_up=optional_time("last_up"),
            seconds_before=float(str(document["seconds_before"])),
        )
