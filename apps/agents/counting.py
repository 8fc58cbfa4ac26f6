"""Numbers of agents: who speaks, who is silent, how much they hold back, and how long their authority lasts."""

from datetime import datetime
from operator import add

from cryptography import x509

from apps.agents.choices import AgentStatus, AuthorityStage
from apps.agents.models import Agent, CertificateAuthority
from apps.agents.selectors import is_alive
from apps.events.state import Gauge, GaugeValues

STATE = (
    Gauge("ispvm_agents_alive", "Active agents that were heard lately.", combine=add),
    Gauge("ispvm_agents_silent", "Active agents that were not.", combine=add),
    Gauge("ispvm_agents_buffer_depth", "Batches that agents hold, as last heard.", combine=add),
    Gauge("ispvm_agents_buffer_age_seconds", "Age of the oldest batch that an agent holds."),
)
INSTALLATION = (
    Gauge(
        "ispvm_authority_end_timestamp_seconds",
        "When the authority that signs agents ends; 0 while there is none.",
    ),
)


def read_authority(_at: datetime) -> GaugeValues:
    """Of the one that signs now."""
    row = CertificateAuthority.objects.filter(stage=AuthorityStage.ACTIVE).first()
    if row is None:
        return {}
    ends = x509.load_pem_x509_certificate(row.certificate_pem.encode()).not_valid_after_utc
    return {("ispvm_authority_end_timestamp_seconds",): ends.timestamp()}


def read_agents(at: datetime) -> GaugeValues:
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
