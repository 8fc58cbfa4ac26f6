"""Noting the end of assignments, so that data from before it is told from data that was never an agent's to send."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from apps.agents.choices import AssignmentKind
from apps.agents.models import FormerAssignment
from apps.agents.ownership import is_probed_by_name, site_readers
from apps.agents.selectors import duties_by_agent
from apps.tenancy.context import require_tenant_id

Duty = tuple[UUID, UUID, str]


@contextmanager
def ends_noted(at: datetime) -> Iterator[None]:
    """Whatever any agent of the tenant does not read or probe any more after the body ended at this time."""
    before = _duties()
    yield
    _note(before - _duties(), at)


def note_device_move(device_id: UUID, former_site_id: UUID, at: datetime) -> None:
    """The agents of the former site read the device until now, unless it is named for others."""
    readers = site_readers(former_site_id, device_id)
    ended = [(agent_id, device_id, AssignmentKind.READ.value) for agent_id in readers]
    if not is_probed_by_name(device_id):
        ended += [(agent_id, device_id, AssignmentKind.PROBE.value) for agent_id in readers]
    _note(ended, at)


def _duties() -> set[Duty]:
    reads, probes = duties_by_agent()
    return {
        *_flat(reads, AssignmentKind.READ.value),
        *_flat(probes, AssignmentKind.PROBE.value),
    }


def _flat(by_agent: Mapping[UUID, Iterable[UUID]], kind: str) -> Iterator[Duty]:
    for agent_id, device_ids in by_agent.items():
        for device_id in device_ids:
            yield agent_id, device_id, kind


def _note(ended: Iterable[Duty], at: datetime) -> None:
    FormerAssignment.objects.bulk_create(
        [
            FormerAssignment(
                tenant_id=require_tenant_id(),
                agent_id=agent_id,
                device_id=device_id,
                kind=kind,
                ended_at=at,
            )
            for agent_id, device_id, kind in sorted(ended, key=str)
        ],
        update_conflicts=True,
        unique_fields=["tenant", "agent", "device", "kind"],
        update_fields=["ended_at"],
    )
