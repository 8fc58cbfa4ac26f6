"""Base classes of the errors in every app's ``errors.py``.

``code`` is stable and for programs; ``message`` is for people; ``context`` is JSON-serializable.
"""


class DomainError(Exception):
    """A refused request: status 422 unless a subclass sets another."""

    status = 422
    default_code = "refused"

    def __init__(self, code: str = "", message: str = "", **context: object) -> None:
        self.code = code or self.default_code
        self.message = message or self.code.replace("_", " ")
        self.context = context
        super().__init__(f"{self.code}: {self.message}")


class NotVisible(DomainError):
    """Missing, or of another tenant: both get the same response."""

    status = 404
    default_code = "not_found"


class Forbidden(DomainError):
    """Visible, but the actor lacks the permission."""

    status = 403
    default_code = "forbidden"


class Conflict(DomainError):
    """The current state does not allow it (already closed, already used, duplicate name)."""

    status = 409
    default_code = "conflict"
