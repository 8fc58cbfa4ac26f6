"""When each part of the way from a failure to the receiver was done, read from REST and the receiver's log."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from apps.lab.demo.findings import Moments
from apps.lab.demo.receiver_log import Received
from apps.lab.demo.watching import Watcher


def moments_of(
    watcher: Watcher, incident_id: str, broken: datetime, rows: Sequence[Received]
) -> Moments | None:
    """None when a part cannot be known."""
    incident = watcher.incident(incident_id)
    told = [row for row in rows if tells_of_opening(row)]
    lines = watcher.of(incident_id, "timeline")
    fired = _times(lines, "alert", after=broken)
    opened = _times(lines, "opened", after=broken)
    if not fired or not opened or not told:
        return None
    signs = [sign for cause in incident["root_causes"] for sign in cause["evidence"]]
    seen = [at for sign in signs if (at := datetime.fromisoformat(sign["at"])) > broken]
    return Moments(
        broken=broken,
        seen=min(seen, default=fired[0]),
        fired=fired[0],
        opened=opened[0],
        delivered=told[0].at,
    )


def tells_of_opening(row: Received) -> bool:
    """Whether the event says that the incident is open (again)."""
    return row.event_type == "incident.opened" or (
        row.event_type == "incident.updated" and row.incident.get("status") == "open"
    )


def _times(lines: Iterable[dict[str, Any]], kind: str, *, after: datetime) -> list[datetime]:
    times = (datetime.fromisoformat(line["at"]) for line in lines if line["kind"] == kind)
    return sorted(at for at in times if at > after)
