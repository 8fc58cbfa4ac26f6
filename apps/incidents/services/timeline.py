"""Lines of an incident's story."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.authorization.actors import Actor
from apps.incidents.choices import EntryKind
from apps.incidents.models import Incident, TimelineEntry


def add_entry(
    *,
    incident: Incident,
    kind: EntryKind,
    text: str,
    at: datetime,
    actor: Actor | None = None,
    detail: Mapping[str, Any] | None = None,
) -> TimelineEntry:
    """Write one line."""
    return TimelineEntry.objects.create(
        incident=incident,
        at=at,
        kind=kind,
        text=text[:4000],
        actor=actor.as_dict() if actor else None,
        detail=dict(detail or {}),
    )


def note_delivery(
    *, incident_id: UUID, text: str, at: datetime, detail: Mapping[str, Any]
) -> TimelineEntry | None:
    """Say on an incident's timeline what became of telling somebody; None if the incident is gone."""
    incident = Incident.objects.filter(pk=incident_id).first()
    if incident is None:
        return None
    return add_entry(incident=incident, kind=EntryKind.DELIVERY, text=text, at=at, detail=detail)
