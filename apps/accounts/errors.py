"""Refusals of accounts."""

from apps.core.errors import Conflict, DomainError, Forbidden


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


class InvitationUnusable(DomainError):
    """Unknown, expired, used, taken back or another tenant's: which of them is not said."""

    status = 404
    default_code = "invitation_unusable"


class InvitedSomebodyElse(Forbidden):
    """The invitation is for another person than the one who is signed in."""

    default_code = "invited_somebody_else"


class SignInFirst(Forbidden):
    """The invited person exists: only they themselves can accept."""

    default_code = "sign_in_first"


class NotPlatformOperator(Forbidden):
    default_code = "not_platform_operator"


class NameTaken(Conflict):
    default_code = "name_taken"
