"""Validation of each item of a batch: an invalid item is rejected by index and code, the rest are accepted. Pure."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from agent.protocol.batch import (
    FUTURE_SECONDS,
    MAX_LABELS_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_TEXT_CHARS,
)
from agent.protocol.registry import DIMENSIONS, EVENTS, METRICS, SERVER_METRICS
from apps.ingest.authorization import Allowances
from apps.ingest.schema import EventItem, MetricItem
from apps.telemetry.partitions import LATE_DAYS

Item = TypeVar("Item")
Ref = tuple[str, UUID]
Items = list[tuple[int, Item, Ref]]
LATEST = timedelta(seconds=FUTURE_SECONDS)
EARLIEST = timedelta(days=LATE_DAYS)
#: The code of what is quarantined.
NOT_ASSIGNED = "not_assigned"


@dataclass(frozen=True)
class RejectedItem:
    """One rejected item, as the response names it."""

    kind: str
    index: int
    code: str
    detail: str


class ItemInvalid(Exception):
    """An item is rejected; the batch is not."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class ItemValidator:
    """Validates items, given the time, the tenant's entities by the id that agents send, and the agent's
    restrictions."""

    at: datetime
    entities: Mapping[UUID, Ref]
    restricted: Allowances = field(default_factory=dict)

    def metric(self, item: MetricItem) -> Ref:
        """The entity of this sample. Raises ItemInvalid."""
        metric = METRICS.get(item.metric_name)
        if metric is None:
            raise ItemInvalid("unknown_metric", f"{item.metric_name[:80]!r} is not registered.")
        if metric.entity_type != item.entity_type:
            raise ItemInvalid(
                "wrong_entity_type", f"{metric.name} is about a {metric.entity_type}."
            )
        if metric.name in SERVER_METRICS:
            raise ItemInvalid("derived_metric", f"{metric.name} is computed by the server.")
        self._check_time(item.ts)
        if metric.is_text:
            _check_text_value(item)
        else:
            _check_number(item, metric.minimum, metric.maximum)
        if item.labels:
            _check_labels(item.labels)
        return self._entity(item, item.metric_name)

    def event(self, item: EventItem) -> Ref:
        """The entity of this event. Raises ItemInvalid."""
        if item.event_type not in EVENTS:
            raise ItemInvalid("unknown_event", f"{item.event_type[:80]!r} is not registered.")
        self._check_time(item.ts)
        payload = json.dumps(item.payload, ensure_ascii=False, separators=(",", ":"))
        if max(_size(payload), _size(item.raw or "")) > MAX_PAYLOAD_BYTES:
            raise ItemInvalid("payload_too_large", f"Over {MAX_PAYLOAD_BYTES} bytes.")
        for text in (item.raw or "", *_texts_in(item.payload)):
            _check_text(text)
        return self._entity(item, item.event_type)

    def _check_time(self, ts: datetime) -> None:
        if ts > self.at + LATEST:
            raise ItemInvalid("ts_in_future", f"More than {FUTURE_SECONDS} s ahead of the server.")
        if ts < self.at - EARLIEST:
            raise ItemInvalid("ts_too_old", f"Older than {LATE_DAYS} days.")

    def _entity(self, item: MetricItem | EventItem, name: str) -> Ref:
        ref = self.entities.get(item.entity_id)
        if ref is None:
            raise ItemInvalid("unknown_entity", "This tenant has no such entity.")
        if ref[0] != item.entity_type:
            raise ItemInvalid("wrong_entity_type", f"This id is a {ref[0]}.")
        allowances = self.restricted.get(item.entity_id)
        if allowances is not None and not any(one.allow(name, item.ts) for one in allowances):
            raise ItemInvalid(NOT_ASSIGNED, "This entity is not assigned to this agent.")
        return ref


def partition_items(
    kind: str, items: Sequence[Item], validate: Callable[[Item], Ref]
) -> tuple[Items[Item], list[RejectedItem]]:
    """The valid items with index and entity, and the rejected ones with index and code."""
    accepted: Items[Item] = []
    rejected: list[RejectedItem] = []
    for index, item in enumerate(items):
        try:
            accepted.append((index, item, validate(item)))
        except ItemInvalid as error:
            rejected.append(RejectedItem(kind, index, error.code, error.detail))
    return accepted, rejected


def series_labels(item: MetricItem) -> str:
    """The registered dimension that distinguishes series of one metric and entity; empty for nearly all."""
    name = DIMENSIONS.get(item.metric_name)
    return f"{name}={item.labels[name]}" if name and item.labels and name in item.labels else ""


def _check_number(item: MetricItem, minimum: float, maximum: float) -> None:
    if item.value_num is None or item.value_text is not None:
        raise ItemInvalid("wrong_value_type", f"{item.metric_name} is a number.")
    if not math.isfinite(item.value_num) or not minimum <= item.value_num <= maximum:
        raise ItemInvalid(
            "out_of_bounds", f"{item.metric_name} must be from {minimum:g} to {maximum:g}."
        )


def _check_text_value(item: MetricItem) -> None:
    if item.value_text is None or item.value_num is not None:
        raise ItemInvalid("wrong_value_type", f"{item.metric_name} is text.")
    if len(item.value_text) > MAX_TEXT_CHARS:
        raise ItemInvalid("out_of_bounds", f"Over {MAX_TEXT_CHARS} characters.")
    _check_text(item.value_text)


def _check_labels(labels: Mapping[str, str]) -> None:
    if sum(_size(name) + _size(value) + 2 for name, value in labels.items()) > MAX_LABELS_BYTES:
        raise ItemInvalid("labels_too_large", f"Over {MAX_LABELS_BYTES} bytes of labels.")
    for text in (*labels, *labels.values()):
        _check_text(text)


def _check_text(text: str) -> None:
    # PostgreSQL rejects NUL, and a lone surrogate cannot be encoded in UTF-8.
    if "\0" in text or not _is_unicode(text):
        raise ItemInvalid("bad_text", "The text contains a NUL or a lone surrogate.")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_in(inner)
