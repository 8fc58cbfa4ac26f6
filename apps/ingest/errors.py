"""Errors of the ingest API; each has an HTTP status and a stable code of the contract."""

from apps.core.errors import Conflict, DomainError, Forbidden


class BodyInvalid(DomainError):
    """Not JSON, not this schema, nested too deep, or a number that is not a finite float64."""

    status = 400
    default_code = "invalid_body"


class BodyTooLarge(DomainError):
    """Over a limit of the contract; detected while the body is being read."""

    status = 413
    default_code = "too_large"


class EncodingUnknown(DomainError):
    status = 415
    default_code = "unsupported_encoding"


class IdentityMismatch(Forbidden):
    """The body names another agent or tenant than the certificate does."""

    default_code = "identity_mismatch"


class BatchChanged(Conflict):
    """A batch id or sequence was used again with other content: a cloned identity, or tampering."""

    default_code = "batch_changed"
