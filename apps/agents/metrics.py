"""Metrics of agents: online, offline, buffered batches, and the expiry of their authority."""

from datetime import datetime
from operator import add

from cryptography import x509

from apps.agents.choices import AgentStatus, AuthorityStage
from apps.agents.models import Agent, CertificateAuthority
from apps.agents.selectors import is_alive
from apps.events.gauges import Gauge, GaugeValues

STATE = (
    Gauge("ispvm_agents_alive", "Active agents with a recent heartbeat.", combine=add),
    Gauge("ispvm_agents_offline", "Active agents without a recent heartbeat.", combine=add),
    Gauge("ispvm_agents_buffer_depth", "Buffered batches, from the last heartbeat.", combine=add),
    Gauge("ispvm_agents_buffer_age_seconds", "Age of the oldest buffered batch."),
)
INSTALLATION = (
    Gauge(
        "ispvm_authority_end_timestamp_seconds",
        "Expiry of the authority that signs agents; 0 while there is none.",
    ),
)


def read_authority(_at: datetime) -> GaugeValues:
    """The expiry of the active authority."""
    row = CertificateAuthority.objects.filter(stage=AuthorityStage.ACTIVE).first()
    if row is None:
        return {}
    not_after = x509.load_pem_x509_certificate(row.certificate_pem.encode()).not_valid_after_utc
    return {("ispvm_authority_end_timestamp_seconds",): not_after.timestamp()}


def read_agents(at: datetime) -> GaugeValues:
    """The current tenant's active agents."""
    agents = Agent.objects.filter(status=AgentStatus.ACTIVE).only(
        "status", "last_heartbeat_at", "health"
    )
    online = offline = depth = oldest = 0.0
    for agent in agents:
        is_online = is_alive(agent, at)
        online, offline = online + is_online, offline + (not is_online)
        depth += float(agent.health.get("buffer_depth", 0))
        oldest = max(oldest, float(agent.health.get("buffer_age_seconds", 0)))
    return {
        ("ispvm_agents_alive",): online,
        ("ispvm_agents_offline",): offline,
        ("ispvm_agents_buffer_depth",): depth,
        ("ispvm_agents_buffer_age_seconds",): oldest,
    }
