"""Why a webhook request of a person or program is refused."""

from apps.core.errors import Conflict, DomainError, NotVisible


class EndpointNameTaken(Conflict):
    """Another endpoint of this tenant goes by that name."""

    default_code = "name_taken"


class EndpointPaused(Conflict):
    """Nothing is sent while it is paused: resume it first."""

    default_code = "endpoint_paused"


class EndpointDeleted(Conflict):
    """Its ledger stays readable; nothing is sent to it any more."""

    default_code = "endpoint_deleted"


class RotationOutOfStep(Conflict):
    """Stage, promote, retire: in that order (``nothing_staged``, ``already_staged``, ``nothing_retiring``)."""

    default_code = "rotation_out_of_step"


class EndpointInvalid(DomainError):
    """A field cannot be used: the code says which way."""

    default_code = "endpoint_invalid"


__all__ = [
    "EndpointDeleted",
    "EndpointInvalid",
    "EndpointNameTaken",
    "EndpointPaused",
    "NotVisible",
    "RotationOutOfStep",
]
