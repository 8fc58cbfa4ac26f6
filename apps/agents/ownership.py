"""Which devices an agent may report about; optimized for the few devices of a batch."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.agents.models import AgentDevice, AgentProbeDevice, AgentSite, FormerAssignment
from apps.inventory.selectors import device_sites


@dataclass(frozen=True)
class AssignedDevices:
    """The subset of devices that an agent polls, and the subset that it probes."""

    polled: frozenset[UUID]
    probed: frozenset[UUID]


def assigned_among(agent_id: UUID, device_ids: Collection[UUID]) -> AssignedDevices:
    """As ``selectors.assigned_device_ids`` and ``probed_device_ids``, for these devices only. Four queries."""
    ids = set(device_ids)
    assigned = AgentDevice.objects.filter(device__in=ids).values_list("agent_id", "device_id")
    own, assigned_to_any = _own_and_all(agent_id, assigned)
    unassigned = ids - assigned_to_any
    polled = own | _at_sites(agent_id, unassigned)
    probing = AgentProbeDevice.objects.filter(device__in=ids).values_list("agent_id", "device_id")
    own_probes, probed_by_any = _own_and_all(agent_id, probing)
    return AssignedDevices(frozenset(polled), frozenset(own_probes | (polled - probed_by_any)))


def assigned_site_ids(agent_id: UUID) -> set[UUID]:
    """The sites that are assigned to an agent."""
    return set(AgentSite.objects.filter(agent_id=agent_id).values_list("site_id", flat=True))


def former_assignment_ends(
    agent_id: UUID, device_ids: Collection[UUID]
) -> dict[tuple[str, UUID], datetime]:
    """When an agent's former assignments (kind, device id) to these devices ended."""
    rows = FormerAssignment.objects.filter(agent_id=agent_id, device__in=device_ids)
    return {
        (kind, device_id): ended_at
        for kind, device_id, ended_at in rows.values_list("kind", "device_id", "ended_at")
    }


def site_polling_agents(site_id: UUID, device_id: UUID) -> set[UUID]:
    """The agents that poll this device through this site."""
    if AgentDevice.objects.filter(device_id=device_id).exists():
        return set()
    return set(AgentSite.objects.filter(site_id=site_id).values_list("agent_id", flat=True))


def is_probe_assigned(device_id: UUID) -> bool:
    """Whether an agent is assigned individually to probe this device."""
    return AgentProbeDevice.objects.filter(device_id=device_id).exists()


def _own_and_all(
    agent_id: UUID, pairs: Collection[tuple[UUID, UUID]]
) -> tuple[set[UUID], set[UUID]]:
    rows = list(pairs)
    return (
        {device_id for owner, device_id in rows if owner == agent_id},
        {device_id for _, device_id in rows},
    )


def _at_sites(agent_id: UUID, device_ids: set[UUID]) -> set[UUID]:
    if not device_ids:
        return set()
    sites = assigned_site_ids(agent_id)
    if not sites:
        return set()
    return {pk for pk, site_id in device_sites(device_ids).items() if site_id in sites}
