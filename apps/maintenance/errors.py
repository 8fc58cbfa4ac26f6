"""Domain errors of maintenance windows."""

from collections.abc import Collection
from typing import Self
from uuid import UUID

from apps.core.errors import Conflict, DomainError


class WindowInvalid(DomainError):
    """The window ends before it starts, is too long, or has no target."""

    default_code = "window_invalid"


class TargetUnknown(DomainError):
    """The window names a site or a router that does not exist."""

    default_code = "target_unknown"

    @classmethod
    def of(cls, ids: Collection[UUID]) -> Self:
        """An error that names the first five of them."""
        first = ", ".join(sorted(map(str, ids))[:5])
        return cls(message=f"Unknown site or router: {first}.")


class WindowEnded(Conflict):
    """A window that has ended cannot be changed."""

    default_code = "window_over"
