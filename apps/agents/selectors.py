"""Reads of agents: liveness and assignments."""

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
    AgentProbeDevice,
    AgentSite,
    QuarantinedEntity,
)
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core.errors import NotVisible
from apps.inventory.polling_agents import PollingAgent
from apps.inventory.selectors import device_sites
from apps.tenancy.context import require_tenant_id

HEARTBEAT_SECONDS = 10
#: An agent is offline after three missed heartbeats plus a margin.
OFFLINE_AFTER = timedelta(seconds=3 * HEARTBEAT_SECONDS + 5)


@dataclass(frozen=True)
class CorrelatedAgent:
    """The fields of an agent that correlation needs: its attached device and liveness."""

    id: UUID
    name: str
    attached_device_id: UUID | None
    alive: bool
    last_heartbeat_at: datetime | None


def is_alive(agent: Agent, at: datetime) -> bool:
    """Whether the agent sent a heartbeat recently."""
    return (
        agent.status == AgentStatus.ACTIVE
        and agent.last_heartbeat_at is not None
        and at - agent.last_heartbeat_at <= OFFLINE_AFTER
    )


def agents_for_correlation(at: datetime) -> list[CorrelatedAgent]:
    """Every enrolled agent that is not revoked, by id. One query."""
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
    """An agent of the current tenant. Raises NotVisible for foreign and absent ones alike."""
    agent = Agent.objects.filter(pk=agent_id).first()
    if agent is None:
        raise NotVisible
    return agent


def assigned_device_ids(agent_id: UUID) -> set[UUID]:
    """The devices that an agent polls: assigned to it, or at its sites and not assigned individually."""
    return device_ids_by_agent().get(agent_id, set())


def device_ids_by_agent() -> dict[UUID, set[UUID]]:
    """Every agent's devices; three queries, whatever the size."""
    polled: dict[UUID, set[UUID]] = defaultdict(set)
    assigned = list(AgentDevice.objects.values_list("agent_id", "device_id"))
    for agent_id, device_id in assigned:
        polled[agent_id].add(device_id)
    at_sites = list(AgentSite.objects.values_list("agent_id", "site_id"))
    if at_sites:
        individually_assigned = {device_id for _, device_id in assigned}
        by_site: dict[UUID, set[UUID]] = defaultdict(set)
        for device_id, site_id in device_sites().items():
            if device_id not in individually_assigned:
                by_site[site_id].add(device_id)
        for agent_id, site_id in at_sites:
            polled[agent_id] |= by_site[site_id]
    return dict(polled)


def polling_agents_by_device(
    device_ids: Collection[UUID] | None = None,
) -> dict[UUID, list[PollingAgent]]:
    """The agents that poll these devices (None: all), whether or not a host has enrolled. Three queries, whatever the
    size; four if agents are assigned to sites."""
    agents = {
        agent.id: PollingAgent(
            agent.id, agent.name, not agent.has_unapproved_host, tuple(agent.capabilities)
        )
        for agent in Agent.objects.exclude(status=AgentStatus.REVOKED)
    }
    assigned = AgentDevice.objects.all()
    by_device: dict[UUID, list[PollingAgent]] = defaultdict(list)
    if device_ids is not None:
        assigned = assigned.filter(device__in=device_ids)
    individually_assigned = set()
    for agent_id, device_id in assigned.values_list("agent_id", "device_id"):
        individually_assigned.add(device_id)
        if agent_id in agents:
            by_device[device_id].append(agents[agent_id])
    at_sites: dict[UUID, list[PollingAgent]] = defaultdict(list)
    for agent_id, site_id in AgentSite.objects.values_list("agent_id", "site_id"):
        if agent_id in agents:
            at_sites[site_id].append(agents[agent_id])
    if at_sites:
        for device_id, site_id in device_sites(device_ids).items():
            if device_id not in individually_assigned and site_id in at_sites:
                by_device[device_id].extend(at_sites[site_id])
    return dict(by_device)


def probed_device_ids(agent_id: UUID) -> set[UUID]:
    """The devices that an agent probes."""
    return probed_device_ids_by_agent().get(agent_id, set())


def probed_device_ids_by_agent() -> dict[UUID, set[UUID]]:
    """The devices that each agent probes: those assigned to it for probing, and those that it polls without such an
    assignment. Four queries, whatever the size."""
    return _probed(device_ids_by_agent())


def _probed(polled_by_agent: Mapping[UUID, set[UUID]]) -> dict[UUID, set[UUID]]:
    assigned = list(AgentProbeDevice.objects.values_list("agent_id", "device_id"))
    individually_assigned = {device_id for _, device_id in assigned}
    probed = {
        agent_id: polled - individually_assigned for agent_id, polled in polled_by_agent.items()
    }
    for agent_id, device_id in assigned:
        probed.setdefault(agent_id, set()).add(device_id)
    return probed


def devices_by_agent() -> tuple[dict[UUID, set[UUID]], dict[UUID, set[UUID]]]:
    """The devices that each agent polls, and those that it probes. Four queries, whatever the size."""
    polled_devices = device_ids_by_agent()
    return polled_devices, _probed(polled_devices)


def certificates_of(agent: Agent) -> QuerySet[AgentCertificate]:
    """An agent's certificates, newest first."""
    return AgentCertificate.objects.filter(
        tenant_id=require_tenant_id(), agent_id=agent.id
    ).order_by("-issued_at")


def quarantined_entities(agent_id: UUID) -> QuerySet[QuarantinedEntity]:
    """Quarantined entities of an agent of the tenant, newest first."""
    return QuarantinedEntity.objects.filter(agent_id=agent_id).order_by(
        "-last_seen_at", "entity_id"
    )


def monitored_agent_ids() -> set[UUID]:
    """The agents that are expected to report. One query."""
    return set(Agent.objects.exclude(status=AgentStatus.REVOKED).values_list("pk", flat=True))


def agent_labels(agent_ids: set[UUID]) -> dict[UUID, str]:
    """Names of agents; unknown ids are absent."""
    return dict(Agent.objects.filter(pk__in=agent_ids).values_list("pk", "name"))


def offline_agent_count(access: Access, at: datetime) -> int:
    """The number of visible enrolled agents that are offline. One query."""
    without_heartbeat = Q(last_heartbeat_at=None) | Q(last_heartbeat_at__lt=at - OFFLINE_AFTER)
    rows = access.visible(Agent.objects.all(), Permission.AGENTS_VIEW)
    return rows.filter(without_heartbeat, status=AgentStatus.ACTIVE).count()


@dataclass(frozen=True)
class AgentHealth:
    """An agent with its device counts, certificate expiry and quarantine."""

    agent: Agent
    alive: bool
    polled_devices: int
    probed_devices: int
    certificate_expires_at: datetime | None
    # Number of quarantined items, and when the last one came.
    quarantined: int = 0
    quarantined_at: datetime | None = None


def visible_agent_health(access: Access, at: datetime) -> list[AgentHealth]:
    """The health of every visible agent, by name. Seven queries, whatever the size."""
    rows = access.visible(Agent.objects.select_related("site"), Permission.AGENTS_VIEW)
    polled_devices = device_ids_by_agent()
    probed_devices = _probed(polled_devices)
    expiries = dict(
        AgentCertificate.objects.filter(tenant_id=require_tenant_id(), revoked_at=None)
        .values_list("agent_id")
        .annotate(Max("not_after"))
    )
    quarantined = {
        agent_id: (count, seen_at)
        for agent_id, count, seen_at in QuarantinedEntity.objects.values_list("agent_id").annotate(
            Sum("count"), Max("last_seen_at")
        )
    }
    return [
        AgentHealth(
            agent=agent,
            alive=is_alive(agent, at),
            polled_devices=len(polled_devices.get(agent.id, ())),
            probed_devices=len(probed_devices.get(agent.id, ())),
            certificate_expires_at=expiries.get(agent.id),
            quarantined=quarantined.get(agent.id, (0, None))[0],
            quarantined_at=quarantined.get(agent.id, (0, None))[1],
        )
        for agent in rows.order_by("name")
    ]


def get_visible_agent(access: Access, agent_id: UUID) -> Agent:
    """A visible agent. Raises NotVisible for foreign and absent ones alike."""
    rows = access.visible(Agent.objects.select_related("site"), Permission.AGENTS_VIEW)
    agent = rows.filter(pk=agent_id).first()
    if agent is None:
        raise NotVisible
    return agent
