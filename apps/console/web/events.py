"""What agents and the router's own log reported."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.inventory.selectors import entity_labels
from apps.pages.states import SEVERITIES, State
from apps.telemetry.queries import events_of

_EVENT_LABELS: dict[str, Promise] = {
    "device.reachable.changed": _lazy("Reachability"),
    "device.api.changed": _lazy("API"),
    "device.rebooted": _lazy("Rebooted"),
    "device.version.changed": _lazy("Version changed"),
    "interface.oper.changed": _lazy("Port"),
    "bgp.peer.state.changed": _lazy("BGP"),
    "ospf.neighbor.state.changed": _lazy("OSPF"),
    "config.changed.detected": _lazy("Configuration changed"),
    "auth.login.failed": _lazy("Login failed"),
    "syslog.message": _lazy("Log"),
}
MAX_TEXT = 200


@dataclass(frozen=True)
class EventRow:
    """One event."""

    at: datetime
    state: State
    what: str
    entity: str
    text: str


def event_rows(
    entity_ids: Collection[UUID], *, since: datetime, until: datetime, most: int
) -> tuple[EventRow, ...]:
    """Newest first. A query, and one per kind of entity."""
    events = events_of(entity_ids=entity_ids, since=since, until=until, limit=most)
    labels = entity_labels({(event.entity_type, event.entity_id) for event in events})
    return tuple(
        EventRow(
            at=event.ts,
            state=SEVERITIES[event.severity],
            what=str(_EVENT_LABELS.get(event.event_type, event.event_type)),
            entity=labels.get((event.entity_type, event.entity_id), ""),
            text=_text(event.payload, event.raw),
        )
        for event in events
    )


def _text(payload: dict[str, Any], raw: str) -> str:
    before, after = payload.get("old"), payload.get("new")
    if after is not None:
        return _("%(after)s, was %(before)s") % {"before": before, "after": after}
    values = payload.get("message") or raw
    if values:
        return str(values)[:MAX_TEXT]
    return ", ".join(f"{name} {value}" for name, value in list(payload.items())[:4])[:MAX_TEXT]
