"""Errors of incidents."""

from apps.core.errors import Conflict, DomainError


class IncidentClosed(Conflict):
    """The action needs an open incident."""

    default_code = "incident_closed"


class AlreadyAcknowledged(Conflict):
    """Another acknowledgement exists: `unack` first."""

    default_code = "already_acknowledged"


class NotAcknowledged(Conflict):
    """There is no acknowledgement to remove."""

    default_code = "not_acknowledged"


class NoteEmpty(DomainError):
    """The note or reason is empty."""

    default_code = "note_empty"


class AssigneeUnknown(DomainError):
    """The assignee is not a member of this tenant."""

    default_code = "assignee_unknown"
