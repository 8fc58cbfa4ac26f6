"""Errors of authorization."""

from apps.core.errors import DomainError


class ReauthenticationRequired(DomainError):
    """The sign-in is too old for this action: the user must confirm it first."""

    status = 403
    default_code = "reauthentication_required"
