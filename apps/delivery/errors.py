"""Errors of delivery services."""

from apps.core.errors import Conflict


class DestinationNameTaken(Conflict):
    """Another destination of this channel and tenant has that name."""

    default_code = "name_taken"


class DestinationPaused(Conflict):
    """The endpoint is paused: resume it first."""

    default_code = "endpoint_paused"


class DestinationDeleted(Conflict):
    """The endpoint is deleted; its delivery log stays readable."""

    default_code = "endpoint_deleted"
