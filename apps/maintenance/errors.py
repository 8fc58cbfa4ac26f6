"""What can be wrong with a maintenance window."""

from apps.core.errors import Conflict, DomainError


class WindowInvalid(DomainError):
    """It ends before it starts, lasts too long, or is about nothing."""

    default_code = "window_invalid"


class TargetUnknown(DomainError):
    """It names a site or a router that is not there."""

    default_code = "target_unknown"


class WindowOver(Conflict):
    """What is over stays as it was."""

    default_code = "window_over"
