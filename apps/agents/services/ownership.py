"""Recording when assignments end, so that late data from before the end is still accepted."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from apps.agents.choices import AssignmentKind
from apps.agents.models import FormerAssignment
from apps.agents.ownership import is_probe_assigned, site_polling_agents
from apps.agents.selectors import devices_by_agent
from apps.tenancy.context import require_tenant_id

Assignment = tuple[UUID, UUID, str]


@contextmanager
def record_ended_assignments(at: datetime) -> Iterator[None]:
    """Record assignments that any agent of the tenant loses during the body, as ended at this time."""
    before = _assignments()
    yield
    _store_ends(before - _assignments(), at)


def record_device_move(device_id: UUID, former_site_id: UUID, at: datetime) -> None:
    """Record that the assignment of the former site's agents ended, unless the device is assigned individually."""
    polling_agents = site_polling_agents(former_site_id, device_id)
    ended = [(agent_id, device_id, AssignmentKind.POLL.value) for agent_id in polling_agents]
    if not is_probe_assigned(device_id):
        ended += [(agent_id, device_id, AssignmentKind.PROBE.value) for agent_id in polling_agents]
    _store_ends(ended, at)


def _assignments() -> set[Assignment]:
    polled, probed = devices_by_agent()
    return {
        *_flat(polled, AssignmentKind.POLL.value),
        *_flat(probed, AssignmentKind.PROBE.value),
    }


def _flat(by_agent: Mapping[UUID, Iterable[UUID]], kind: str) -> Iterator[Assignment]:
    for agent_id, device_ids in by_agent.items():
        for device_id in device_ids:
            yield agent_id, device_id, kind


def _store_ends(ended: Iterable[Assignment], at: datetime) -> None:
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
