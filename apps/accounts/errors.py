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


class LastAdmin(Conflict):
    """The tenant would be left without an admin."""

    default_code = "last_admin"


class AlreadyMember(Conflict):
    """This person belongs to the tenant already."""

    default_code = "already_member"


class CannotBeLimited(DomainError):
    """The role sees everything."""

    default_code = "cannot_be_limited"


class ScopeNotHeld(DomainError):
    """A token cannot be given what its maker may not do."""

    default_code = "scope_not_held"


class NameTaken(Conflict):
    default_code = "name_taken"
