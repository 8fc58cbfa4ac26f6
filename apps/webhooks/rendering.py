"""The body of a webhook: rendered once per endpoint, identical in every attempt.

The incident is the snapshot stored with its outbox event. Only the fields of the contract are sent, whatever else
the snapshot contains.
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
class PayloadOptions:
    """Which data an endpoint receives."""

    hides_tenant_name: bool = False
    hides_people: bool = False
    hides_evidence: bool = False
    thin: bool = False


@dataclass(frozen=True)
class Envelope:
    """The fields of the body around the incident."""

    event_id: str
    event_type: str
    sent_at: datetime
    tenant_id: str
    tenant_name: str


class SnapshotIncomplete(ValueError):
    """The snapshot lacks a field that the contract requires."""


def render_incident_event(
    envelope: Envelope, incident: Mapping[str, Any], options: PayloadOptions
) -> bytes:
    """The body of an incident event. Raises SnapshotIncomplete."""
    missing = [name for name in _REQUIRED if incident.get(name) is None]
    if missing:
        raise SnapshotIncomplete(f"The incident snapshot lacks {', '.join(missing)}.")
    fields = _thin(incident) if options.thin else _full(incident, options)
    return _canonical({**_envelope_fields(envelope, options), "incident": fields})


def render_ping(
    envelope: Envelope, *, endpoint_id: str, endpoint_name: str, options: PayloadOptions
) -> bytes:
    """The body of ``webhook.ping``."""
    endpoint = {"id": endpoint_id, "name": endpoint_name}
    return _canonical({**_envelope_fields(envelope, options), "endpoint": endpoint})


def _envelope_fields(envelope: Envelope, options: PayloadOptions) -> dict[str, Any]:
    tenant = {"id": envelope.tenant_id}
    if not (options.hides_tenant_name or options.thin):
        tenant["name"] = envelope.tenant_name
    return {
        "event_id": envelope.event_id,
        "event_type": envelope.event_type,
        "sent_at": envelope.sent_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "tenant": tenant,
    }


def _thin(incident: Mapping[str, Any]) -> dict[str, Any]:
    thin = {name: incident.get(name) for name in _THIN}
    return {**thin, "epoch": _epoch(incident), **_merged_into(incident)}


def _merged_into(incident: Mapping[str, Any]) -> dict[str, str]:
    """The incident that continues, on the close of a merged one."""
    merged_into = incident.get("merged_into")
    return {"merged_into": str(merged_into)} if merged_into else {}


def _epoch(incident: Mapping[str, Any]) -> int:
    """Snapshots stored before epochs were introduced have none."""
    return int(incident.get("epoch") or 0)


def _full(incident: Mapping[str, Any], options: PayloadOptions) -> dict[str, Any]:
    ack = incident.get("ack") or {}
    impact = incident.get("impact") or {}
    evidence = [str(line) for line in incident.get("evidence_top") or ()][:MAX_EVIDENCE]
    fields: dict[str, Any] = {name: incident[name] for name in _REQUIRED}
    fields["epoch"] = _epoch(incident)
    fields |= _merged_into(incident)
    fields["ends_at"] = incident.get("ends_at")
    fields["url"] = incident.get("url") or ""
    fields["ack"] = {
        "acked_by": None if options.hides_people else ack.get("acked_by"),
        "acked_at": ack.get("acked_at"),
    }
    fields["root_causes"] = [
        {name: cause[name] for name in _CAUSE if name in cause}
        for cause in incident.get("root_causes") or ()
    ]
    fields["impact"] = {name: impact.get(name) for name in _IMPACT}
    fields["evidence_top"] = [] if options.hides_evidence else evidence
    if title := incident.get("title_message"):
        fields["title_message"] = title
    if (messages := incident.get("evidence_messages")) and not options.hides_evidence:
        fields["evidence_messages"] = list(messages)[:MAX_EVIDENCE]
    if labels := incident.get("labels"):
        fields["labels"] = {str(name): str(value) for name, value in labels.items()}
    return fields


def _canonical(document: Mapping[str, Any]) -> bytes:
    """Sorted keys, no spaces, UTF-8: equal documents give equal bytes."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
