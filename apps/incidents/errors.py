"""What incidents refuse."""

from apps.core.errors import Conflict, DomainError


class IncidentClosed(Conflict):
    default_code = "incident_closed"


class AlreadyAcknowledged(Conflict):
    default_code = "already_acknowledged"


class NotAcknowledged(Conflict):
    default_code = "not_acknowledged"


class NoteEmpty(DomainError):
    default_code = "note_empty"


class AssigneeUnknown(DomainError):
    default_code = "assignee_unknown"
