"""When each step from a failure to the webhook receiver was reached, from REST and the receiver's log."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from apps.lab.demo.receiver_log import Received
from apps.lab.demo.report import Milestones
from apps.lab.demo.watcher import Watcher


def milestones_of(
    watcher: Watcher, incident_id: str, broken: datetime, rows: Sequence[Received]
) -> Milestones | None:
    """None when a step is unknown."""
    incident = watcher.incident(incident_id)
    openings = [row for row in rows if is_opening(row)]
    lines = watcher.of(incident_id, "timeline")
    fired = _times(lines, "alert", after=broken)
    opened = _times(lines, "opened", after=broken)
    if not fired or not opened or not openings:
        return None
    signs = [sign for cause in incident["root_causes"] for sign in cause["evidence"]]
    seen = [at for sign in signs if (at := datetime.fromisoformat(sign["at"])) > broken]
    return Milestones(
        failed_at=broken,
        detected_at=min(seen, default=fired[0]),
        fired_at=fired[0],
        opened_at=opened[0],
        delivered_at=openings[0].at,
    )


def is_opening(row: Received) -> bool:
    """Whether the event reports that the incident opened or reopened."""
    return row.event_type == "incident.opened" or (
        row.event_type == "incident.updated" and row.incident.get("status") == "open"
    )


def _times(lines: Iterable[dict[str, Any]], kind: str, *, after: datetime) -> list[datetime]:
    times = (datetime.fromisoformat(line["at"]) for line in lines if line["kind"] == kind)
    return sorted(at for at in times if at > after)
