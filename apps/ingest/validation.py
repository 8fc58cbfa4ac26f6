"""Judging each item of a batch on its own: a bad sample is refused by index and reason, the rest go in. Pure."""

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
from apps.ingest.scope import Limited
from apps.ingest.wire import WireEvent, WireMetric
from apps.telemetry.partitions import LATE_DAYS

Item = TypeVar("Item")
Ref = tuple[str, UUID]
Items = list[tuple[int, Item, Ref]]
LATEST = timedelta(seconds=FUTURE_SECONDS)
EARLIEST = timedelta(days=LATE_DAYS)
#: The code of what is quarantined.
NOT_ASSIGNED = "not_assigned"


@dataclass(frozen=True)
class Rejected:
    """One refused item, as the answer names it."""

    kind: str
    index: int
    code: str
    detail: str

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "index": self.index, "code": self.code, "detail": self.detail}


class Refusal(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class Judge:
    """What an item is judged against: the moment, the tenant's entities by wire id, and those of them that the agent
    may not simply speak for."""

    at: datetime
    entities: Mapping[UUID, Ref]
    limited: Limited = field(default_factory=dict)

    def metric(self, item: WireMetric) -> Ref:
        """The entity this sample is about. Raises Refusal."""
        metric = METRICS.get(item.metric_name)
        if metric is None:
            raise Refusal("unknown_metric", f"{item.metric_name[:80]!r} is not registered.")
        if metric.entity_type != item.entity_type:
            raise Refusal("wrong_entity_type", f"{metric.name} is about a {metric.entity_type}.")
        if metric.name in SERVER_METRICS:
            raise Refusal("derived_metric", f"{metric.name} is found out by the server.")
        self._moment(item.ts)
        if metric.is_text:
            _check_words(item)
        else:
            _check_number(item, metric.minimum, metric.maximum)
        if item.labels:
            _check_labels(item.labels)
        return self._entity(item, item.metric_name)

    def event(self, item: WireEvent) -> Ref:
        """The entity this event is about. Raises Refusal."""
        if item.event_type not in EVENTS:
            raise Refusal("unknown_event", f"{item.event_type[:80]!r} is not registered.")
        self._moment(item.ts)
        payload = json.dumps(item.payload, ensure_ascii=False, separators=(",", ":"))
        if max(_size(payload), _size(item.raw or "")) > MAX_PAYLOAD_BYTES:
            raise Refusal("payload_too_large", f"Over {MAX_PAYLOAD_BYTES} bytes.")
        for text in (item.raw or "", *_texts_in(item.payload)):
            _check_text(text)
        return self._entity(item, item.event_type)

    def _moment(self, ts: datetime) -> None:
        if ts > self.at + LATEST:
            raise Refusal("ts_in_future", f"More than {FUTURE_SECONDS} s ahead of the server.")
        if ts < self.at - EARLIEST:
            raise Refusal("ts_too_old", f"Older than {LATE_DAYS} days.")

    def _entity(self, item: WireMetric | WireEvent, name: str) -> Ref:
        ref = self.entities.get(item.entity_id)
        if ref is None:
            raise Refusal("unknown_entity", "This tenant has no such entity.")
        if ref[0] != item.entity_type:
            raise Refusal("wrong_entity_type", f"This id is a {ref[0]}.")
        terms = self.limited.get(item.entity_id)
        if terms is not None and not any(one.allow(name, item.ts) for one in terms):
            raise Refusal(NOT_ASSIGNED, "This entity is not assigned to this agent.")
        return ref


def sort_out(
    kind: str, items: Sequence[Item], judge: Callable[[Item], Ref]
) -> tuple[Items[Item], list[Rejected]]:
    """The acceptable items with index and entity, and the refused ones with index and reason."""
    accepted: Items[Item] = []
    rejected: list[Rejected] = []
    for index, item in enumerate(items):
        try:
            accepted.append((index, item, judge(item)))
        except Refusal as refusal:
            rejected.append(Rejected(kind, index, refusal.code, refusal.detail))
    return accepted, rejected


def series_labels(item: WireMetric) -> str:
    """What tells this series from others of its metric and entity: the registered dimension, empty for nearly all."""
    name = DIMENSIONS.get(item.metric_name)
    return f"{name}={item.labels[name]}" if name and item.labels and name in item.labels else ""


def _check_number(item: WireMetric, minimum: float, maximum: float) -> None:
    if item.value_num is None or item.value_text is not None:
        raise Refusal("wrong_value_type", f"{item.metric_name} is a number.")
    if not math.isfinite(item.value_num) or not minimum <= item.value_num <= maximum:
        raise Refusal("out_of_bounds", f"{item.metric_name} lies in {minimum:g} to {maximum:g}.")


def _check_words(item: WireMetric) -> None:
    if item.value_text is None or item.value_num is not None:
        raise Refusal("wrong_value_type", f"{item.metric_name} is text.")
    if len(item.value_text) > MAX_TEXT_CHARS:
        raise Refusal("out_of_bounds", f"Over {MAX_TEXT_CHARS} characters.")
    _check_text(item.value_text)


def _check_labels(labels: Mapping[str, str]) -> None:
    if sum(_size(name) + _size(value) + 2 for name, value in labels.items()) > MAX_LABELS_BYTES:
        raise Refusal("labels_too_large", f"Over {MAX_LABELS_BYTES} bytes of labels.")
    for text in (*labels, *labels.values()):
        _check_text(text)


def _check_text(text: str) -> None:
    # PostgreSQL refuses NUL, and a lone surrogate has no UTF-8 form.
    if "\0" in text or not _is_unicode(text):
        raise Refusal("bad_text", "The text holds a NUL or a lone surrogate.")


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
