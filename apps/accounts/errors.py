"""Refusals of accounts."""

from apps.core.errors import Conflict, DomainError


class SignInRefused(DomainError):
    """The name or the password is wrong: which of the two is not said."""

    status = 401
    default_code = "sign_in_refused"


class TooManyAttempts(DomainError):
    """This name was tried too often from this address."""

    status = 429
    default_code = "too_many_attempts"


class NameTaken(Conflict):
    default_code = "name_taken"
