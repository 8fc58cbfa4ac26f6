"""Errors of the inventory."""

from apps.core.errors import Conflict, Forbidden, NotVisible


class NameTaken(Conflict):
    """Another row of this tenant already has that name."""

    default_code = "name_taken"


class InterfaceTaken(Conflict):
    """The interface is already an end of another link."""

    default_code = "interface_taken"


class InUse(Conflict):
    """Other rows depend on it."""

    default_code = "in_use"


class LoginApprovalRefused(Forbidden):
    """Approving a destination needs a user who may manage credentials and has just signed in again, or a token with
    the scope ``logins.approve``."""

    default_code = "login_approval_refused"


class DestinationChanged(Conflict):
    """The destination changed after it was read: read it again."""

    default_code = "destination_changed"


class LoginHeld(Conflict):
    """Credentials are not sent to an unapproved destination."""

    default_code = "login_held"


__all__ = [
    "DestinationChanged",
    "InUse",
    "InterfaceTaken",
    "LoginApprovalRefused",
    "LoginHeld",
    "NameTaken",
    "NotVisible",
]
