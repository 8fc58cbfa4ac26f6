"""What collectors and probes make: samples and events, before they are put into a batch."""

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
    """Seconds since 1970 as the wire's time, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a registered metric; ``at`` is the moment of measuring on this host's clock."""

    at: float
    metric: str
    entity_id: str
    value: float | str
    source: str

    def item(self) -> MetricItem:
        """As it travels."""
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
class Happening:
    """One event of a registered type. Its id is given once, so that no retry makes it two."""

    at: float
    event_type: str
    entity_type: str
    entity_id: str
    payload: Mapping[str, Any]
    severity: str = ""
    id: str = field(default_factory=lambda: str(uuid4()))

    def item(self) -> EventItem:
        """As it travels."""
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
class Findings:
    """What one poll or one probe round brought."""

    samples: tuple[Sample, ...] = ()
    events: tuple[Happening, ...] = ()
    patch: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.samples) + len(self.events)


def merge_patch(into: InventoryPatch, patch: Mapping[str, list[dict[str, Any]]]) -> None:
    """Add a patch's items to another's sections."""
    sections: dict[str, list[dict[str, Any]]] = into  # type: ignore[assignment]  # its sections are all lists
    for section, items in patch.items():
        sections.setdefault(section, []).extend(items)


def now() -> float:
    """This host's clock. Samples are never shifted to the server's: a wrong clock is reported instead."""
    return time.time()
