"""A batch of the ingest protocol: its items, its limits, and its published schema (JSON Schema 2020-12)."""

from typing import Any, NotRequired, TypedDict

from agent.collectors.registry import SOURCES
from agent.protocol.registry import ENTITY_TYPES, QUALITIES, SEVERITIES

SCHEMA_VERSION = "1.0"

MAX_COMPRESSED_BYTES = 10 * 2**20
MAX_DECODED_BYTES = 64 * 2**20
MAX_RATIO = 100
MAX_METRICS = 50_000
MAX_EVENTS = 10_000
MAX_DEPTH = 16
MAX_LABELS_BYTES = 1024
MAX_TEXT_CHARS = 2000
MAX_PAYLOAD_BYTES = 16 * 1024
FUTURE_SECONDS = 300

#: Header of a push: seconds that the batch waited in the agent's buffer, by the agent's clock. Absent means 0.
WAITED_HEADER = "X-ISPVM-Waited"


class MetricItem(TypedDict):
    """One sample. Exactly one of ``value_num`` and ``value_text``."""

    ts: str
    metric_name: str
    entity_type: str
    entity_id: str
    value_num: NotRequired[float]
    value_text: NotRequired[str]
    unit: NotRequired[str]
    labels: NotRequired[dict[str, str]]
    source: NotRequired[str]
    quality: NotRequired[str]


class EventItem(TypedDict):
    """One event; the server stores it once however often its ``id`` is sent."""

    id: str
    ts: str
    event_type: str
    severity: str
    entity_type: str
    entity_id: str
    payload: dict[str, Any]
    raw: NotRequired[str]


class InventoryPatch(TypedDict, total=False):
    """Discovered entities that are new or changed."""

    devices: list[dict[str, Any]]
    interfaces: list[dict[str, Any]]
    bgp_peers: list[dict[str, Any]]
    ospf_neighbors: list[dict[str, Any]]
    services: list[dict[str, Any]]


class Batch(TypedDict):
    """The body of ``POST /ingest/v1/batch``."""

    schema_version: str
    batch_id: str
    boot_id: str
    sequence: int
    sent_at: str
    agent: dict[str, Any]
    metrics: list[MetricItem]
    events: list[EventItem]
    inventory_patch: NotRequired[InventoryPatch]
    dropped: NotRequired[dict[str, int]]


_UUID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
_ENTITY = {"enum": list(ENTITY_TYPES)}
_OBJECTS = {"type": "array", "items": {"type": "object", "required": ["id"]}}

BATCH_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "ISPVisualMonitor ingest batch",
    "type": "object",
    "required": [
        "schema_version",
        "batch_id",
        "boot_id",
        "sequence",
        "sent_at",
        "agent",
        "metrics",
        "events",
    ],
    "properties": {
        "schema_version": {"const": SCHEMA_VERSION},
        "batch_id": _UUID,
        "boot_id": _UUID,
        "sequence": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
        "sent_at": _TIME,
        "agent": {"type": "object", "required": ["id"], "properties": {"id": _UUID}},
        "metrics": {
            "type": "array",
            "maxItems": MAX_METRICS,
            "items": {
                "type": "object",
                "required": ["ts", "metric_name", "entity_type", "entity_id"],
                "properties": {
                    "ts": _TIME,
                    "metric_name": {"type": "string"},
                    "entity_type": _ENTITY,
                    "entity_id": _UUID,
                    "value_num": {"type": "number"},
                    "value_text": {"type": "string"},
                    "unit": {"type": "string"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "source": {"enum": list(SOURCES)},
                    "quality": {"enum": list(QUALITIES)},
                },
            },
        },
        "events": {
            "type": "array",
            "maxItems": MAX_EVENTS,
            "items": {
                "type": "object",
                "required": [
                    "id",
                    "ts",
                    "event_type",
                    "severity",
                    "entity_type",
                    "entity_id",
                    "payload",
                ],
                "properties": {
                    "id": _UUID,
                    "ts": _TIME,
                    "event_type": {"type": "string"},
                    "severity": {"enum": list(SEVERITIES)},
                    "entity_type": _ENTITY,
                    "entity_id": _UUID,
                    "payload": {"type": "object"},
                    "raw": {"type": "string"},
                },
            },
        },
        "inventory_patch": {
            "type": "object",
            "properties": dict.fromkeys(
                ("devices", "interfaces", "bgp_peers", "ospf_neighbors", "services"), _OBJECTS
            ),
        },
        "dropped": {
            "type": "object",
            "required": ["from", "to", "samples"],
            "properties": {
                key: {"type": "integer", "minimum": 0} for key in ("from", "to", "samples")
            },
        },
    },
}
