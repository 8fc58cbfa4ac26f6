"""The body of a batch as typed structures. Unknown fields are ignored: the contract is extended additively."""

import json
import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from agent.collectors.registry import SOURCES
from agent.protocol.batch import MAX_EVENTS, MAX_METRICS
from apps.ingest.errors import BodyInvalid, BodyTooLarge
from apps.ingest.scanning import check_document, count_pairs

T = TypeVar("T")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

AwareDatetime = Annotated[datetime, Meta(tz=True)]
EntityType = Literal[
    "device",
    "interface",
    "site",
    "service",
    "link",
    "bgp_peer",
    "ospf_neighbor",
    "probe_target",
    "agent",
]
Severity = Literal["info", "warn", "critical"]
if TYPE_CHECKING:
    Source = str
else:  # msgspec compares the values of a Literal without a Python call
    Source = Literal[SOURCES]
Quality = Literal["good", "estimated", "stale"]


class MetricItem(msgspec.Struct, gc=False, frozen=True):
    ts: AwareDatetime
    metric_name: str
    entity_type: EntityType
    entity_id: UUID
    value_num: float | None = None
    value_text: str | None = None
    unit: str | None = None
    labels: dict[str, str] | None = None
    source: Source | None = None
    quality: Quality | None = None


class EventItem(msgspec.Struct, frozen=True):
    id: UUID
    ts: AwareDatetime
    event_type: str
    severity: Severity
    entity_type: EntityType
    entity_id: UUID
    payload: dict[str, Any]
    raw: str | None = None


class BatchAgent(msgspec.Struct, frozen=True):
    id: UUID
    name: str = ""
    version: str = ""
    tenant_id: UUID | None = None


class DroppedRange(msgspec.Struct, frozen=True, rename={"first": "from", "last": "to"}):
    """A range of sequences that the agent dropped because its buffer was full."""

    first: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    last: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    samples: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Batch(msgspec.Struct, frozen=True):
    schema_version: Literal["1.0"]
    batch_id: UUID
    boot_id: UUID
    sequence: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    sent_at: AwareDatetime
    agent: BatchAgent
    metrics: list[MetricItem]
    events: list[EventItem]
    inventory_patch: dict[str, list[dict[str, Any]]] | None = None
    dropped: DroppedRange | None = None
    tenant_id: UUID | None = None


def parse_batch(body: bytes) -> Batch:
    """The batch in this body. Raises BodyInvalid, BodyTooLarge."""
    batch = parse(body, Batch)
    if len(batch.metrics) > MAX_METRICS or len(batch.events) > MAX_EVENTS:
        raise BodyTooLarge(
            message=f"Over {MAX_METRICS} metrics or {MAX_EVENTS} events in one batch."
        )
    if batch.dropped and batch.dropped.last < batch.dropped.first:
        raise BodyInvalid(message="dropped.to is before dropped.from.")
    return batch


def parse(body: bytes, schema: type[T]) -> T:
    """A JSON body of this schema. Text may contain lone surrogates: check it before storing it.

    Raises BodyInvalid.
    """
    pairs = count_pairs(body)
    try:
        document = _decode(body)
        check_document(document, pairs)
        return msgspec.convert(document, schema)
    except (msgspec.MsgspecError, ValueError, OverflowError) as error:
        text = str(error).encode("ascii", "backslashreplace").decode()
        raise BodyInvalid(message=text[:300]) from error


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        if not _SURROGATE.search(body):
            raise
    # A router's comment that is cut inside a character must cost one item, not the batch; msgspec rejects such text.
    return json.loads(body.decode(), parse_constant=_reject_constant, parse_float=_finite)


def _reject_constant(name: str) -> Any:
    raise BodyInvalid(message=f"{name} is not a JSON number.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BodyInvalid("number_too_large", "A number is beyond float64.")
    return value
