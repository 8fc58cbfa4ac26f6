"""What incidents refuse."""

from apps.core.errors import Conflict, DomainError


class IncidentClosed(Conflict):
    """The act is for open incidents."""

    default_code = "incident_closed"


class AlreadyAcknowledged(Conflict):
    """Somebody has it: `unack` first."""

    default_code = "already_acknowledged"


class NotAcknowledged(Conflict):
    """Nobody has it: there is nothing to give back."""

    default_code = "not_acknowledged"


class NoteEmpty(DomainError):
    """A note of nothing."""

    default_code = "note_empty"


class AssigneeUnknown(DomainError):
    """Nobody who is a member of this tenant."""

    default_code = "assignee_unknown"
