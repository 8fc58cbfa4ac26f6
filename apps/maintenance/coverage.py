"""Which maintenance window covers an entity. Pure: no ORM, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ActiveWindow:
    """A window that is active now: its sites with every router in them, and single routers."""

    id: UUID
    title: str
    site_ids: frozenset[UUID] = frozenset()
    device_ids: frozenset[UUID] = frozenset()
    #: Whether critical incidents still notify.
    notify_critical: bool = False

    def covers(self, *, device_id: UUID | None, site_id: UUID | None) -> bool:
        """Whether the window covers this router or this site."""
        return device_id in self.device_ids or site_id in self.site_ids


def covering_window(
    windows: Sequence[ActiveWindow], *, device_id: UUID | None, site_id: UUID | None
) -> ActiveWindow | None:
    """The window that covers a router or a site; a window that still notifies for critical incidents takes precedence,
    then the lowest id."""
    matching = [row for row in windows if row.covers(device_id=device_id, site_id=site_id)]
    return min(matching, key=lambda row: (not row.notify_critical, row.id), default=None)
