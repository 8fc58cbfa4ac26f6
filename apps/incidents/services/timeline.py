"""Timeline entries of an incident."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.authorization.actors import Actor
from apps.core.messages import Message
from apps.incidents.choices import EntryKind
from apps.incidents.models import Incident, TimelineEntry

#: An incident's id, the text, and its detail.
DeliveryEntry = tuple[UUID, Message, Mapping[str, Any]]


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


def note_deliveries(entries: Sequence[DeliveryEntry], *, at: datetime) -> None:
    """Record results of notifications on the timelines of their incidents; those of incidents that are gone are not."""
    if not entries:
        return
    ids = {incident_id for incident_id, _, _ in entries}
    existing = set(Incident.objects.filter(pk__in=ids).values_list("pk", flat=True))
    TimelineEntry.objects.bulk_create(
        TimelineEntry(
            incident_id=incident_id,
            at=at,
            kind=EntryKind.DELIVERY,
            message=message,
            detail=dict(detail),
        )
        for incident_id, message, detail in entries
        if incident_id in existing
    )
