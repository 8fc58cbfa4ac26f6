"""The log of the demo's webhook receiver."""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request that the receiver answered."""

    at: datetime
    event_id: str
    event_type: str
    body_sha256: str
    verified: bool
    event: dict[str, Any]

    @property
    def incident(self) -> dict[str, Any]:
        found: dict[str, Any] = self.event.get("incident", {})
        return found


def read_log(path: Path) -> list[Received]:
    """Every request, in order of arrival; an incomplete last line is skipped."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [_received(json.loads(line)) for line in lines if line]


def about(rows: list[Received], incident_id: str) -> list[Received]:
    """Verified requests about one incident."""
    return [row for row in rows if row.verified and row.incident.get("id") == incident_id]


def changed_repeats(rows: list[Received]) -> list[str]:
    """Event ids that arrived with different bodies: there must be none."""
    bodies: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        bodies[row.event_id].add(row.body_sha256)
    return sorted(event_id for event_id, found in bodies.items() if len(found) > 1)


def missing_sequences(rows: list[Received]) -> list[int]:
    """Sequence numbers below the highest one that never arrived."""
    seen = {row.incident["sequence"] for row in rows}
    return sorted(set(range(1, max(seen, default=0) + 1)) - seen)


def duplicate_sequences(rows: list[Received]) -> list[int]:
    """Sequence numbers of one incident under more than one event id: there must be none."""
    ids: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        ids[row.incident["sequence"]].add(row.event_id)
    return sorted(number for number, found in ids.items() if len(found) > 1)


def _received(entry: dict[str, Any]) -> Received:
    headers = entry["headers"]
    try:
        event = json.loads(entry["body"])
    except ValueError:
        event = {}
    return Received(
        at=datetime.fromisoformat(entry["time"]),
        event_id=headers.get("webhook-id", ""),
        event_type=headers.get("x-ispvm-event-type", ""),
        body_sha256=entry["body_sha256"],
        verified=entry["verified"],
        event=event if isinstance(event, dict) else {},
    )
