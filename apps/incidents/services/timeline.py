"""Timeline entries of an incident."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.authorization.actors import Actor
from apps.core.messages import Message
from apps.incidents.choices import EntryKind
from apps.incidents.models import Incident, TimelineEntry


def add_entry(
    *,
    incident: Incident,
    kind: EntryKind,
    message: Message | None = None,
    note: str = "",
    at: datetime,
    actor: Actor | None = None,
    detail: Mapping[str, Any] | None = None,
) -> TimelineEntry:
    """Add one entry: a message, or a note that an operator wrote."""
    return TimelineEntry.objects.create(
        incident=incident,
        at=at,
        kind=kind,
        message=message,
        note=note[:4000],
        actor=actor.as_dict() if actor else None,
        detail=dict(detail or {}),
    )


def note_delivery(
    *, incident_id: UUID, message: Message, at: datetime, detail: Mapping[str, Any]
) -> TimelineEntry | None:
    """Record the result of a notification on the timeline; None if the incident is gone."""
    incident = Incident.objects.filter(pk=incident_id).first()
    if incident is None:
        return None
    return add_entry(
        incident=incident, kind=EntryKind.DELIVERY, message=message, at=at, detail=detail
    )
