"""Samples and events of collectors and probes, before they become part of a batch."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from agent.protocol.batch import EventItem, InventoryPatch, MetricItem
from agent.protocol.registry import EVENTS, METRICS

Patch = dict[str, list[dict[str, Any]]]


def rfc3339(at: float) -> str:
    """Seconds since 1970 as RFC 3339 text, with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a registered metric; ``at`` is the time of measurement by this host's clock."""

    at: float
    metric: str
    entity_id: str
    value: float | str
    source: str

    def item(self) -> MetricItem:
        """The sample as an item of a batch."""
        item: MetricItem = {
            "ts": rfc3339(self.at),
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

    def item(self) -> EventItem:
        """The event as an item of a batch."""
        return {
            "id": self.id,
            "ts": rfc3339(self.at),
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
    """This host's clock. Timestamps are never shifted to the server's clock; the skew is reported instead."""
    return time.time()
