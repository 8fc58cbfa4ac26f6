"""A signed_request sample event."""

import json
from typing import Any

from apps.webhooks.signing import legacy_signature, standard_signature

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
OTHER_SECRET = "whsec_" + "ZmVkY2JhWllYV1ZVVFNSUVBPTk1MS0pJSEdGRURDQkE="
NOW = 1_790_000_000
TENANT = "6f1c1d9e-1f0e-4c7e-9a5e-0b7c1f3a2d10"
EVENT = "0d9d3c39-6d50-4f44-8b9c-51f2f3a4b5c6"


def incident(**parts: Any) -> dict[str, Any]:
    """A snapshot as the incidents app publishes it, with an extra field that must not be sent."""
    return {
        "id": "c0ffee00-0000-4000-8000-000000000001",
        "sequence": 1,
        "title": "Backhaul north down",
        "status": "open",
        "severity": "critical",
        "starts_at": "2026-07-01T10:00:00Z",
        "ends_at": None,
        "url": "http://127.0.0.1:8000/incidents/c0ffee00-0000-4000-8000-000000000001/",
        "ack": {"acked_by": "Ada Example", "acked_at": "2026-07-01T10:01:00Z"},
        "root_causes": [
            {
                "entity_type": "link",
                "entity_id": "c0ffee00-0000-4000-8000-000000000002",
                "name": "cr2-agg1",
                "confidence": 0.97,
                "classification": "primary",
                "internal_score": 12.5,
            }
        ],
        "impact": {
            "sites_affected": 1,
            "devices_affected": 3,
            "services_affected": 1,
            "estimated_subscribers_affected": 412,
        },
        "evidence_top": [f"evidence {n}" for n in range(7)],
        "labels": {"region": "north"},
        "internal": {"secret": "stays"},
        **parts,
    }


def signed_request(secrets: list[str] | None = None, **parts: Any) -> tuple[dict[str, str], bytes]:
    """Headers (lower case) and body of a valid webhook."""
    live_secrets = secrets or [SECRET]
    body = json.dumps(
        {
            "event_id": EVENT,
            "event_type": "incident.opened",
            "tenant": {"id": TENANT},
            "incident": incident(**parts),
        },
        ensure_ascii=False,
    ).encode()
    return {
        "webhook-id": EVENT,
        "webhook-timestamp": str(NOW),
        "webhook-signature": standard_signature(
            live_secrets, message_id=EVENT, timestamp=NOW, body=body
        ),
        "x-ispvm-signature": legacy_signature(live_secrets[0], body),
        "x-ispvm-event-type": "incident.opened",
        "x-ispvm-tenant-id": TENANT,
    }, body
