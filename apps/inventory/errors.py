"""Refusals of the inventory."""

from apps.core.errors import Conflict, Forbidden, NotVisible


class NameTaken(Conflict):
    """Something else in this tenant already goes by that name."""

    default_code = "name_taken"


class InterfaceTaken(Conflict):
    """The port already ends another link."""

    default_code = "interface_taken"


class InUse(Conflict):
    """Other rows depend on it and would be left hanging."""

    default_code = "in_use"


class LoginApprovalRefused(Forbidden):
    """Where a login is sent is decided by a person who may manage credentials and has just proven who they are, or by
    a token that carries the scope ``logins.approve``."""

    default_code = "login_approval_refused"


class DestinationChanged(Conflict):
    """What was to be approved is not what the device has now: read it again."""

    default_code = "destination_changed"


class LoginHeld(Conflict):
    """The login is not sent to a destination that nobody has approved."""

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
