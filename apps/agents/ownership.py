"""Reads of what an agent may speak for, device by device: the hot path asks about the few that a batch names."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.agents.models import AgentDevice, AgentProbing, AgentSite, FormerAssignment
from apps.inventory.selectors import device_sites


@dataclass(frozen=True)
class Duties:
    """Of some devices those that an agent reads, and those that it probes."""

    reads: frozenset[UUID]
    probes: frozenset[UUID]


def duties_of(agent_id: UUID, device_ids: Collection[UUID]) -> Duties:
    """The same as ``selectors.assigned_device_ids`` and ``probed_device_ids``, for these devices. Four queries."""
    wanted = set(device_ids)
    named = AgentDevice.objects.filter(device__in=wanted).values_list("agent_id", "device_id")
    own, taken = _own_and_taken(agent_id, named)
    rest = wanted - taken
    reads = own | _at_sites(agent_id, rest)
    probing = AgentProbing.objects.filter(device__in=wanted).values_list("agent_id", "device_id")
    own_probes, taken_probes = _own_and_taken(agent_id, probing)
    return Duties(frozenset(reads), frozenset(own_probes | (reads - taken_probes)))


def assigned_site_ids(agent_id: UUID) -> set[UUID]:
    """The sites that are assigned to an agent."""
    return set(AgentSite.objects.filter(agent_id=agent_id).values_list("site_id", flat=True))


def former_ends(agent_id: UUID, device_ids: Collection[UUID]) -> dict[tuple[str, UUID], datetime]:
    """When an agent's former duties (kind, device) for these devices ended."""
    rows = FormerAssignment.objects.filter(agent_id=agent_id, device__in=device_ids)
    return {
        (kind, device_id): ended_at
        for kind, device_id, ended_at in rows.values_list("kind", "device_id", "ended_at")
    }


def site_readers(site_id: UUID, device_id: UUID) -> set[UUID]:
    """The agents that read this device because it stands at this site."""
    if AgentDevice.objects.filter(device_id=device_id).exists():
        return set()
    return set(AgentSite.objects.filter(site_id=site_id).values_list("agent_id", flat=True))


def is_probed_by_name(device_id: UUID) -> bool:
    """Whether some agent is named to judge this device's reachability."""
    return AgentProbing.objects.filter(device_id=device_id).exists()


def _own_and_taken(
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
