"""Samples and events of collectors and probes, before they become part of a batch."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from agent.protocol.batch import EventItem, InventoryPatch, MetricItem
from agent.protocol.registry import EVENTS, METRICS

if hasattr(time, "CLOCK_BOOTTIME"):

    def _running_seconds() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:
    _running_seconds = time.monotonic

_STARTED_AT = time.time() - _running_seconds()

Patch = dict[str, list[dict[str, Any]]]


def rfc3339(at: float) -> str:
    """Seconds since 1970 as RFC 3339 text, with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a registered metric; ``at`` is the time of measurement by ``now``."""

    at: float
    metric: str
    entity_id: str
    value: float | str
    source: str

    def item(self, offset: float = 0.0) -> MetricItem:
        """The sample as an item of a batch; ``offset`` as of ``host_clock_offset``."""
        item: MetricItem = {
            "ts": rfc3339(self.at + offset),
            "metric_name": self.metric,
            "entity_type": METRICS[self.metric].entity_type,
            "entity_id": self.entity_id,
            "source": self.source,
        }
        if isinstance(self.value, str):
            item["value_text"] = self.value
        else:
            item["value_num"] = float(self.value)
        return item


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a registered type. The id is assigned once, so the server can recognize retries."""

    at: float
    event_type: str
    entity_type: str
    entity_id: str
    payload: Mapping[str, Any]
    severity: str = ""
    id: str = field(default_factory=lambda: str(uuid4()))

    def item(self, offset: float = 0.0) -> EventItem:
        """The event as an item of a batch; ``offset`` as of ``host_clock_offset``."""
        return {
            "id": self.id,
            "ts": rfc3339(self.at + offset),
            "event_type": self.event_type,
            "severity": self.severity or EVENTS[self.event_type].severity,
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "payload": dict(self.payload),
        }


@dataclass(frozen=True, slots=True)
class PollResult:
    """Samples, events and inventory changes of one poll or one probe round."""

    samples: tuple[Sample, ...] = ()
    events: tuple[Event, ...] = ()
    patch: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.samples) + len(self.events)


def merge_patch(into: InventoryPatch, patch: Mapping[str, list[dict[str, Any]]]) -> None:
    """Append the items of ``patch`` to the sections of ``into``."""
    sections: dict[str, list[dict[str, Any]]] = into  # type: ignore[assignment]  # its sections are all lists
    for section, items in patch.items():
        sections.setdefault(section, []).extend(items)


def now() -> float:
    """Seconds since 1970 by a clock that is set to the host's at start and runs evenly from then on, in suspend too.

    Setting the host's clock does not move it, so the order and the distances of measurements are right.
    """
    return _STARTED_AT + _running_seconds()


def host_clock_offset() -> float:
    """The host's clock minus ``now``. Added to every time of one batch, it makes them times by the host's clock, of
    which the server measures the skew."""
    return time.time() - now()
