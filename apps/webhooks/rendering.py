"""The bytes of a webhook: rendered once per endpoint, the same in every attempt.

The incident arrives as the frozen snapshot of its outbox event. Only the fields of the contract leave;
whatever else a snapshot carries stays here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MAX_EVIDENCE = 5

_REQUIRED = ("id", "sequence", "title", "status", "severity", "starts_at")
_THIN = ("id", "sequence", "url")
_CAUSE = ("entity_type", "entity_id", "name", "confidence", "classification")
_IMPACT = (
    "sites_affected",
    "devices_affected",
    "services_affected",
    "estimated_subscribers_affected",
)


@dataclass(frozen=True)
class View:
    """What one endpoint may see."""

    hides_tenant_name: bool = False
    hides_people: bool = False
    hides_evidence: bool = False
    thin: bool = False


@dataclass(frozen=True)
class Envelope:
    """What surrounds the incident."""

    event_id: str
    event_type: str
    sent_at: datetime
    tenant_id: str
    tenant_name: str


class SnapshotIncomplete(ValueError):
    """The event's snapshot lacks a field that the contract promises."""


def render_incident_event(envelope: Envelope, incident: Mapping[str, Any], view: View) -> bytes:
    """The body of an incident event. Raises SnapshotIncomplete."""
    missing = [name for name in _REQUIRED if incident.get(name) is None]
    if missing:
        raise SnapshotIncomplete(f"The incident snapshot lacks {', '.join(missing)}.")
    chosen = _thin(incident) if view.thin else _full(incident, view)
    return _canonical({**_around(envelope, view), "incident": chosen})


def render_ping(envelope: Envelope, *, endpoint_id: str, endpoint_name: str, view: View) -> bytes:
    """The body of a test."""
    endpoint = {"id": endpoint_id, "name": endpoint_name}
    return _canonical({**_around(envelope, view), "endpoint": endpoint})


def _around(envelope: Envelope, view: View) -> dict[str, Any]:
    tenant = {"id": envelope.tenant_id}
    if not (view.hides_tenant_name or view.thin):
        tenant["name"] = envelope.tenant_name
    return {
        "event_id": envelope.event_id,
        "event_type": envelope.event_type,
        "sent_at": envelope.sent_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "tenant": tenant,
    }


def _thin(incident: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: incident.get(name) for name in _THIN}, "epoch": _epoch(incident)}


def _epoch(incident: Mapping[str, Any]) -> int:
    """Snapshots of before there were epochs have none."""
    return int(incident.get("epoch") or 0)


def _full(incident: Mapping[str, Any], view: View) -> dict[str, Any]:
    ack = incident.get("ack") or {}
    impact = incident.get("impact") or {}
    evidence = [str(line) for line in incident.get("evidence_top") or ()][:MAX_EVIDENCE]
    chosen: dict[str, Any] = {name: incident[name] for name in _REQUIRED}
    chosen["epoch"] = _epoch(incident)
    chosen["ends_at"] = incident.get("ends_at")
    chosen["url"] = incident.get("url") or ""
    chosen["ack"] = {
        "acked_by": None if view.hides_people else ack.get("acked_by"),
        "acked_at": ack.get("acked_at"),
    }
    chosen["root_causes"] = [
        {name: cause[name] for name in _CAUSE if name in cause}
        for cause in incident.get("root_causes") or ()
    ]
    chosen["impact"] = {name: impact.get(name) for name in _IMPACT}
    chosen["evidence_top"] = [] if view.hides_evidence else evidence
    if labels := incident.get("labels"):
        chosen["labels"] = {str(name): str(value) for name, value in labels.items()}
    return chosen


def _canonical(document: Mapping[str, Any]) -> bytes:
    """Sorted keys, no spaces, UTF-8: the same document is the same bytes."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
