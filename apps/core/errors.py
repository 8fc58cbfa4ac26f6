"""The error tree that every app's ``errors.py`` grows from.

``code`` is stable and machine-read; ``message`` is for people; ``context`` is JSON-safe detail.
"""


class DomainError(Exception):
    """The request is understood and refused: 422 unless a subclass says otherwise."""

    status = 422
    default_code = "refused"

    def __init__(self, code: str = "", message: str = "", **context: object) -> None:
        self.code = code or self.default_code
        self.message = message or self.code.replace("_", " ")
        self.context = context
        super().__init__(f"{self.code}: {self.message}")


class NotVisible(DomainError):
    """Absent, or another tenant's: the two are answered alike."""

    status = 404
    default_code = "not_found"


class Forbidden(DomainError):
    """Visible, but this actor may not do that."""

    status = 403
    default_code = "forbidden"


class Conflict(DomainError):
    """The state does not allow it (already closed, already used, name taken)."""

    status = 409
    default_code = "conflict"
