from apps.core.errors import Conflict, DomainError, Forbidden


class SignInRefused(DomainError):
    status = 401
    default_code = "sign_in_refused"


class NameTaken(Conflict):
    default_code = "name_taken"


__all__ = ["Forbidden", "NameTaken", "SignInRefused"]
