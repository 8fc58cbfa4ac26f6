"""Reads of agents: who is alive, who watches what."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Max, Q, QuerySet, Sum

from apps.agents.choices import AgentStatus
from apps.agents.models import (
    Agent,
    AgentCertificate,
    AgentDevice,
    AgentProbing,
    AgentSite,
    QuarantinedEntity,
)
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core.errors import NotVisible
from apps.inventory.readers import Reader
from apps.inventory.selectors import device_sites
from apps.tenancy.context import require_tenant_id

HEARTBEAT_SECONDS = 10
#: An agent that missed three heartbeats (and a little) is taken for silent.
SILENT_AFTER = timedelta(seconds=3 * HEARTBEAT_SECONDS + 5)


@dataclass(frozen=True)
class CorrelatedAgent:
    """An agent as correlation sees it: where it sits and whether it still speaks."""

    id: UUID
    name: str
    attached_device_id: UUID | None
    alive: bool
    last_heartbeat_at: datetime | None


def is_alive(agent: Agent, at: datetime) -> bool:
    """Whether the agent has spoken lately."""
    return (
        agent.status == AgentStatus.ACTIVE
        and agent.last_heartbeat_at is not None
        and at - agent.last_heartbeat_at <= SILENT_AFTER
    )


def agents_for_correlation(at: datetime) -> list[CorrelatedAgent]:
    """Every agent that has enrolled and was not revoked, by id. One query."""
    return [
        CorrelatedAgent(
            id=agent.id,
            name=agent.name,
            attached_device_id=agent.attached_device_id,
            alive=is_alive(agent, at),
            last_heartbeat_at=agent.last_heartbeat_at,
        )
        for agent in Agent.objects.filter(status=AgentStatus.ACTIVE).order_by("pk")
    ]


def get_agent(agent_id: UUID) -> Agent:
    """An agent of the current tenant. Raises NotVisible for foreign and absent alike."""
    agent = Agent.objects.filter(pk=agent_id).first()
    if agent is None:
        raise NotVisible
    return agent


def assigned_device_ids(agent_id: UUID) -> set[UUID]:
    """The devices that an agent watches: those named for it, and those at its sites that are named for nobody."""
    return device_ids_by_agent().get(agent_id, set())


def device_ids_by_agent() -> dict[UUID, set[UUID]]:
    """Every agent's devices; three queries, whatever the size."""
    watched: dict[UUID, set[UUID]] = defaultdict(set)
    named = list(AgentDevice.objects.values_list("agent_id", "device_id"))
    for agent_id, device_id in named:
        watched[agent_id].add(device_id)
    at_sites = list(AgentSite.objects.values_list("agent_id", "site_id"))
    if at_sites:
        taken = {device_id for _, device_id in named}
        free: dict[UUID, set[UUID]] = defaultdict(set)
        for device_id, site_id in device_sites().items():
            if device_id not in taken:
                free[site_id].add(device_id)
        for agent_id, site_id in at_sites:
            watched[agent_id] |= free[site_id]
    return dict(watched)


def readers_by_device(
    device_ids: Collection[UUID] | None = None,
) -> dict[UUID, list[Reader]]:
    """The agents that read these devices (None: all), whether or not a host has enrolled. Three queries, whatever the
    size; four with agents at sites."""
    agents = {
        agent.id: Reader(agent.id, agent.name, not agent.has_unapproved_host)
        for agent in Agent.objects.exclude(status=AgentStatus.REVOKED)
    }
    named = AgentDevice.objects.all()
    found: dict[UUID, list[Reader]] = defaultdict(list)
    if device_ids is not None:
        named = named.filter(device__in=device_ids)
    taken = set()
    for agent_id, device_id in named.values_list("agent_id", "device_id"):
        taken.add(device_id)
        if agent_id in agents:
            found[device_id].append(agents[agent_id])
    at_sites: dict[UUID, list[Reader]] = defaultdict(list)
    for agent_id, site_id in AgentSite.objects.values_list("agent_id", "site_id"):
        if agent_id in agents:
            at_sites[site_id].append(agents[agent_id])
    if at_sites:
        for device_id, site_id in device_sites(device_ids).items():
            if device_id not in taken and site_id in at_sites:
                found[device_id].extend(at_sites[site_id])
    return dict(found)


def probed_device_ids(agent_id: UUID) -> set[UUID]:
    """The devices whose reachability an agent judges."""
    return probed_device_ids_by_agent().get(agent_id, set())


def probed_device_ids_by_agent() -> dict[UUID, set[UUID]]:
    """The devices whose reachability each agent judges: those named for it, and of those that it watches the ones that
    are named for nobody. Four queries, whatever the size."""
    return _probed(device_ids_by_agent())


def _probed(watched_by: Mapping[UUID, set[UUID]]) -> dict[UUID, set[UUID]]:
    named = list(AgentProbing.objects.values_list("agent_id", "device_id"))
    taken = {device_id for _, device_id in named}
    probed = {agent_id: watched - taken for agent_id, watched in watched_by.items()}
    for agent_id, device_id in named:
        probed.setdefault(agent_id, set()).add(device_id)
    return probed


def duties_by_agent() -> tuple[dict[UUID, set[UUID]], dict[UUID, set[UUID]]]:
    """The devices that each agent reads, and those that it probes. Four queries, whatever the size."""
    reads = device_ids_by_agent()
    return reads, _probed(reads)


def certificates_of(agent: Agent) -> QuerySet[AgentCertificate]:
    """An agent's certificates, newest first."""
    return AgentCertificate.objects.filter(
        tenant_id=require_tenant_id(), agent_id=agent.id
    ).order_by("-issued_at")


def quarantined_entities(agent_id: UUID) -> QuerySet[QuarantinedEntity]:
    """What an agent of the tenant sent about entities that are not assigned to it, newest first."""
    return QuarantinedEntity.objects.filter(agent_id=agent_id).order_by(
        "-last_seen_at", "entity_id"
    )


def agent_labels(agent_ids: set[UUID]) -> dict[UUID, str]:
    """Names of agents; absent where there is no such agent."""
    return dict(Agent.objects.filter(pk__in=agent_ids).values_list("pk", "name"))


def silent_agent_count(access: Access, at: datetime) -> int:
    """How many enrolled agents that this member may see have not been heard lately. One query."""
    unheard = Q(last_heartbeat_at=None) | Q(last_heartbeat_at__lt=at - SILENT_AFTER)
    rows = access.visible(Agent.objects.all(), Permission.AGENTS_VIEW)
    return rows.filter(unheard, status=AgentStatus.ACTIVE).count()


@dataclass(frozen=True)
class AgentHealth:
    """An agent with what it carries."""

    agent: Agent
    alive: bool
    reads: int
    probes: int
    certificate_ends_at: datetime | None
    # How many items about entities that are not its own, and when the last came.
    quarantined: int = 0
    quarantined_at: datetime | None = None


def visible_agent_health(access: Access, at: datetime) -> list[AgentHealth]:
    """Every agent that this member may see, by name. Seven queries, whatever the size."""
    rows = access.visible(Agent.objects.select_related("site"), Permission.AGENTS_VIEW)
    reads = device_ids_by_agent()
    probes = _probed(reads)
    ends = dict(
        AgentCertificate.objects.filter(tenant_id=require_tenant_id(), revoked_at=None)
        .values_list("agent_id")
        .annotate(Max("not_after"))
    )
    foreign = {
        agent_id: (count, seen_at)
        for agent_id, count, seen_at in QuarantinedEntity.objects.values_list("agent_id").annotate(
            Sum("count"), Max("last_seen_at")
        )
    }
    return [
        AgentHealth(
            agent=agent,
            alive=is_alive(agent, at),
            reads=len(reads.get(agent.id, ())),
            probes=len(probes.get(agent.id, ())),
            certificate_ends_at=ends.get(agent.id),
            quarantined=foreign.get(agent.id, (0, None))[0],
            quarantined_at=foreign.get(agent.id, (0, None))[1],
        )
        for agent in rows.order_by("name")
    ]


def get_visible_agent(access: Access, agent_id: UUID) -> Agent:
    """One of them. Raises NotVisible for foreign and absent alike."""
    rows = access.visible(Agent.objects.select_related("site"), Permission.AGENTS_VIEW)
    agent = rows.filter(pk=agent_id).first()
    if agent is None:
        raise NotVisible
    return agent
