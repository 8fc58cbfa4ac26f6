"""Taking in a heartbeat: the agent is alive, and says how it is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from agent.protocol.registry import METRICS
from apps.agents.services import AgentIdentity, record_heartbeat
from apps.telemetry import store
from apps.telemetry.store import Sample, SeriesKey
from apps.tenancy import acting_in

_GAUGES: Mapping[str, str] = {
    "buffer_depth": "agent.buffer.depth",
    "buffer_age_seconds": "agent.buffer.age_seconds",
    "jobs_running": "agent.jobs.running",
    "poll_errors_total": "agent.poll.errors_total",
    "push_lag_seconds": "agent.push.lag_seconds",
}


class WireHeartbeat(msgspec.Struct, frozen=True):
    """The body of ``POST /ingest/v1/heartbeat``."""

    sent_at: datetime
    boot_id: UUID
    version: str = ""
    capabilities: list[str] = []
    buffer_depth: float = 0
    buffer_age_seconds: float = 0
    jobs_running: float = 0
    poll_errors_total: float = 0
    push_lag_seconds: float = 0
    sealing_public_key: str = ""


def accept_heartbeat(*, identity: AgentIdentity, beat: WireHeartbeat, at: datetime) -> None:
    """Note the heartbeat and store what it says as samples of the agent, at the server's time."""
    values = {metric: float(getattr(beat, name)) for name, metric in _GAUGES.items()}
    values["agent.up"] = 1.0
    if beat.sent_at.tzinfo is not None:
        values["agent.clock.skew_seconds"] = (beat.sent_at - at).total_seconds()
    bounded = {
        name: min(max(v, METRICS[name].minimum), METRICS[name].maximum)
        for name, v in values.items()
    }
    health: dict[str, Any] = {name: bounded[metric] for name, metric in _GAUGES.items()}
    with acting_in(identity.tenant_id):
        record_heartbeat(
            agent_id=identity.agent_id,
            version=beat.version,
            capabilities=beat.capabilities,
            boot_id=beat.boot_id,
            sealing_public_key=beat.sealing_public_key,
            health=health,
            at=at,
        )
        store.write_batch(
            samples=[
                Sample(SeriesKey("agent", identity.agent_id, name), at, value)
                for name, value in bounded.items()
            ],
            received_at=at,
        )
