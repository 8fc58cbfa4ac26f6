"""Errors of webhook services."""

from apps.core.errors import Conflict, DomainError


class RotationOutOfStep(Conflict):
    """Steps out of order: stage, promote, retire (``nothing_staged``, ``already_staged``, ``nothing_retiring``)."""

    default_code = "rotation_out_of_step"


class EndpointInvalid(DomainError):
    """A field is invalid; ``code`` says which."""

    default_code = "endpoint_invalid"
