"""Operator actions on incidents. Permission is decided by the caller."""

from datetime import datetime
from uuid import UUID

from apps.accounts.selectors import member_label
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.core.errors import NotVisible
from apps.core.messages import Message
from apps.incidents.changes import ACKED, CLOSED, UPDATED
from apps.incidents.choices import EntryKind, IncidentStatus, Resolution
from apps.incidents.errors import (
    AlreadyAcknowledged,
    AssigneeUnknown,
    IncidentClosed,
    NotAcknowledged,
    NoteEmpty,
)
from apps.incidents.models import Incident, TimelineEntry
from apps.incidents.services.publishing import publish
from apps.incidents.services.timeline import add_entry
from apps.tenancy import acting_in
from apps.tenancy.context import require_tenant_id


def acknowledge_incident(*, incident_id: UUID, actor: Actor, at: datetime) -> Incident:
    """Acknowledge an incident. Raises NotVisible, IncidentClosed, AlreadyAcknowledged.

    Locks: the incident's row; of two concurrent calls one raises AlreadyAcknowledged.
    """
    with acting_in(require_tenant_id()):
        incident = _lock_open_incident(incident_id)
        if incident.acked_at is not None:
            raise AlreadyAcknowledged(message=f"{incident.acked_by} has already acknowledged it.")
        incident.acked_by, incident.acked_at = actor.label, at
        incident.save(update_fields=["acked_by", "acked_at"])
        message = Message("incidents.timeline.acknowledged", {"user": actor.label})
        _add_entry(incident, EntryKind.ACKNOWLEDGED, message, actor, at)
        publish(ACKED, incident)
        _audit("incident.acknowledged", incident, actor, at)
    return incident


def unacknowledge_incident(*, incident_id: UUID, actor: Actor, at: datetime) -> Incident:
    """Remove the acknowledgement. Raises NotVisible, IncidentClosed, NotAcknowledged."""
    with acting_in(require_tenant_id()):
        incident = _lock_open_incident(incident_id)
        if incident.acked_at is None:
            raise NotAcknowledged(message="It is not acknowledged.")
        incident.acked_by, incident.acked_at = "", None
        incident.save(update_fields=["acked_by", "acked_at"])
        message = Message("incidents.timeline.unacknowledged", {"user": actor.label})
        _add_entry(incident, EntryKind.ACKNOWLEDGED, message, actor, at)
        publish(UPDATED, incident)
        _audit("incident.unacknowledged", incident, actor, at)
    return incident


def assign_incident(
    *, incident_id: UUID, user_id: UUID | None, actor: Actor, at: datetime
) -> Incident:
    """Assign it to a member, or unassign it. Raises NotVisible, IncidentClosed, AssigneeUnknown."""
    with acting_in(require_tenant_id()):
        incident = _lock_open_incident(incident_id)
        label = member_label(user_id) if user_id else ""
        if label is None:
            raise AssigneeUnknown(message="No member of this tenant has that id.")
        incident.assigned_user_id, incident.assigned_to = user_id, label
        incident.save(update_fields=["assigned_user_id", "assigned_to"])
        message = Message("incidents.timeline.unassigned")
        if label:
            message = Message("incidents.timeline.assigned", {"user": label})
        _add_entry(incident, EntryKind.ASSIGNED, message, actor, at)
        _audit("incident.assigned", incident, actor, at)
    return incident


def add_note(*, incident_id: UUID, text: str, actor: Actor, at: datetime) -> TimelineEntry:
    """Write a note on the timeline, of a closed incident too. Raises NotVisible, NoteEmpty."""
    if not text.strip():
        raise NoteEmpty(message="A note must not be empty.")
    with acting_in(require_tenant_id()):
        incident = Incident.objects.filter(pk=incident_id).first()
        if incident is None:
            raise NotVisible
        entry = add_entry(
            incident=incident, kind=EntryKind.NOTE, note=text.strip(), at=at, actor=actor
        )
        _audit("incident.noted", incident, actor, at)
    return entry


def close_incident(*, incident_id: UUID, reason: str, actor: Actor, at: datetime) -> Incident:
    """Close it although alerts may still be firing: those alone will not open another one.

    Raises NotVisible, IncidentClosed, NoteEmpty when no reason is given.
    """
    if not reason.strip():
        raise NoteEmpty(
            message="A reason is required to close it while alerts may still be firing."
        )
    with acting_in(require_tenant_id()):
        incident = _lock_open_incident(incident_id)
        incident.status, incident.resolution = IncidentStatus.CLOSED, Resolution.OPERATOR
        incident.ended_at = at
        incident.save(update_fields=["status", "resolution", "ended_at"])
        params = {"user": actor.label, "reason": reason.strip()}
        message = Message("incidents.timeline.closed", params)
        _add_entry(incident, EntryKind.CLOSED, message, actor, at)
        publish(CLOSED, incident)
        _audit("incident.closed", incident, actor, at)
    return incident


def _lock_open_incident(incident_id: UUID) -> Incident:
    incident = Incident.objects.select_for_update().filter(pk=incident_id).first()
    if incident is None:
        raise NotVisible
    if not incident.is_open:
        raise IncidentClosed(message=f"INC-{incident.number} is closed.")
    return incident


def _add_entry(
    incident: Incident, kind: EntryKind, message: Message, actor: Actor, at: datetime
) -> TimelineEntry:
    return add_entry(incident=incident, kind=kind, message=message, at=at, actor=actor)


def _audit(action: str, incident: Incident, actor: Actor, at: datetime) -> None:
    record(
        action=action,
        actor=actor,
        entity=("incident", incident.id),
        at=at,
        detail={"number": incident.number},
    )
