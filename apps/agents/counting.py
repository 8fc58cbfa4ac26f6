"""Numbers of agents: who speaks, who is silent, how much they hold back."""

from datetime import datetime

from apps.agents.choices import AgentStatus
from apps.agents.models import Agent
from apps.agents.selectors import is_alive
from apps.events.state import Gauge, Reading, added

STATE = (
    Gauge("ispvm_agents_alive", "Active agents that were heard lately.", combine=added),
    Gauge("ispvm_agents_silent", "Active agents that were not.", combine=added),
    Gauge("ispvm_agents_buffer_depth", "Batches that agents hold, as last heard.", combine=added),
    Gauge("ispvm_agents_buffer_age_seconds", "Age of the oldest batch that an agent holds."),
)


def read_agents(at: datetime) -> Reading:
    """The current tenant's active agents."""
    agents = Agent.objects.filter(status=AgentStatus.ACTIVE).only(
        "status", "last_heartbeat_at", "health"
    )
    alive = silent = depth = oldest = 0.0
    for agent in agents:
        speaks = is_alive(agent, at)
        alive, silent = alive + speaks, silent + (not speaks)
        depth += float(agent.health.get("buffer_depth", 0))
        oldest = max(oldest, float(agent.health.get("buffer_age_seconds", 0)))
    return {
        ("ispvm_agents_alive",): alive,
        ("ispvm_agents_silent",): silent,
        ("ispvm_agents_buffer_depth",): depth,
        ("ispvm_agents_buffer_age_seconds",): oldest,
    }
