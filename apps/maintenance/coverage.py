"""What announced work covers. Pure: no ORM, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ActiveWindow:
    """A window that is open now: its sites with every router in them, and single routers."""

    id: UUID
    title: str
    site_ids: frozenset[UUID] = frozenset()
    device_ids: frozenset[UUID] = frozenset()
    #: Whether critical incidents are told all the same.
    lets_critical_through: bool = False

    def covers(self, *, device_id: UUID | None, site_id: UUID | None) -> bool:
        """Whether something on this router, or at this site, is covered."""
        return device_id in self.device_ids or site_id in self.site_ids


def covering(
    windows: Sequence[ActiveWindow], *, device_id: UUID | None, site_id: UUID | None
) -> ActiveWindow | None:
    """The first of the windows that covers it. Where several do, one that is silent on critical incidents comes last:
    whoever asked to hear of them is heard."""
    found = [row for row in windows if row.covers(device_id=device_id, site_id=site_id)]
    return min(found, key=lambda row: (not row.lets_critical_through, row.id), default=None)
