"""Errors of webhook services."""

from apps.core.errors import Conflict, DomainError, NotVisible


class EndpointNameTaken(Conflict):
    """Another endpoint of this tenant has that name."""

    default_code = "name_taken"


class EndpointPaused(Conflict):
    """The endpoint is paused: resume it first."""

    default_code = "endpoint_paused"


class EndpointDeleted(Conflict):
    """The endpoint is deleted; its delivery log stays readable."""

    default_code = "endpoint_deleted"


class RotationOutOfStep(Conflict):
    """Steps out of order: stage, promote, retire (``nothing_staged``, ``already_staged``, ``nothing_retiring``)."""

    default_code = "rotation_out_of_step"


class EndpointInvalid(DomainError):
    """A field is invalid; ``code`` says which."""

    default_code = "endpoint_invalid"


__all__ = [
    "EndpointDeleted",
    "EndpointInvalid",
    "EndpointNameTaken",
    "EndpointPaused",
    "NotVisible",
    "RotationOutOfStep",
]
