"""Writes of incidents."""

from apps.incidents.errors import (
    AlreadyAcknowledged,
    AssigneeUnknown,
    IncidentClosed,
    NotAcknowledged,
    NoteEmpty,
)
from apps.incidents.services.correlate import CORRELATE, correlate_tenant, wake
from apps.incidents.services.lifecycle import (
    acknowledge_incident,
    add_note,
    assign_incident,
    close_incident,
    unacknowledge_incident,
)
from apps.incidents.services.replay import Replay, replay_revision
from apps.incidents.services.timeline import DeliveryEntry, note_deliveries

__all__ = [
    "CORRELATE",
    "AlreadyAcknowledged",
    "AssigneeUnknown",
    "DeliveryEntry",
    "IncidentClosed",
    "NotAcknowledged",
    "NoteEmpty",
    "Replay",
    "acknowledge_incident",
    "add_note",
    "assign_incident",
    "close_incident",
    "correlate_tenant",
    "note_deliveries",
    "replay_revision",
    "unacknowledge_incident",
    "wake",
]
