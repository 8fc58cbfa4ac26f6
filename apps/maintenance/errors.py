"""What can be wrong with a maintenance window."""

from collections.abc import Collection
from typing import Self
from uuid import UUID

from apps.core.errors import Conflict, DomainError


class WindowInvalid(DomainError):
    """It ends before it starts, lasts too long, or is about nothing."""

    default_code = "window_invalid"


class TargetUnknown(DomainError):
    """It names a site or a router that is not there."""

    default_code = "target_unknown"

    @classmethod
    def of(cls, ids: Collection[UUID]) -> Self:
        """Naming the first of them."""
        named = ", ".join(sorted(map(str, ids))[:5])
        return cls(message=f"There is no such site or router: {named}.")


class WindowOver(Conflict):
    """What is over stays as it was."""

    default_code = "window_over"
