"""The body of a batch as typed structures. Unknown fields are ignored: the contract grows additively."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from agent.protocol.batch import MAX_EVENTS, MAX_METRICS
from apps.ingest.decoding import check_depth
from apps.ingest.errors import BodyInvalid, BodyTooLarge

Moment = Annotated[datetime, Meta(tz=True)]
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
Source = Literal["routeros_api", "snmp", "probe", "syslog_derived", "derived", "synthetic"]
Quality = Literal["good", "estimated", "stale"]


class WireMetric(msgspec.Struct, gc=False, frozen=True):
    ts: Moment
    metric_name: str
    entity_type: EntityType
    entity_id: UUID
    value_num: float | None = None
    value_text: str | None = None
    unit: str | None = None
    labels: dict[str, str] | None = None
    source: Source | None = None
    quality: Quality | None = None


class WireEvent(msgspec.Struct, frozen=True):
    id: UUID
    ts: Moment
    event_type: str
    severity: Severity
    entity_type: EntityType
    entity_id: UUID
    payload: dict[str, Any]
    raw: str | None = None


class WireAgent(msgspec.Struct, frozen=True):
    id: UUID
    name: str = ""
    version: str = ""
    tenant_id: UUID | None = None


class WireDropped(msgspec.Struct, frozen=True, rename={"first": "from", "last": "to"}):
    """A range of sequences that the agent's full buffer dropped."""

    first: Annotated[int, Meta(ge=1)]
    last: Annotated[int, Meta(ge=1)]
    samples: Annotated[int, Meta(ge=0)]


class WireBatch(msgspec.Struct, frozen=True):
    schema_version: Literal["1.0"]
    batch_id: UUID
    boot_id: UUID
    sequence: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    sent_at: Moment
    agent: WireAgent
    metrics: list[WireMetric]
    events: list[WireEvent]
    inventory_patch: dict[str, list[dict[str, Any]]] | None = None
    dropped: WireDropped | None = None
    tenant_id: UUID | None = None


_decoder = msgspec.json.Decoder(WireBatch)


def parse_batch(body: bytes) -> WireBatch:
    """The batch in this body. Raises BodyInvalid, BodyTooLarge."""
    check_depth(body)
    try:
        batch = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise BodyInvalid(message=str(error)[:300]) from error
    if len(batch.metrics) > MAX_METRICS or len(batch.events) > MAX_EVENTS:
        raise BodyTooLarge(
            message=f"Over {MAX_METRICS} metrics or {MAX_EVENTS} events in one batch."
        )
    if batch.dropped and batch.dropped.last < batch.dropped.first:
        raise BodyInvalid(message="dropped.to is before dropped.from.")
    return batch
