"""Accept heartbeats: the agent is alive and reports its health."""

from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from uuid import UUID

import msgspec

from agent.protocol.registry import METRICS
from apps.agents.heartbeat_checks import HeartbeatInfo
from apps.agents.services import AgentIdentity, is_quarantining, record_heartbeat
from apps.agents.services.quarantine import GAUGE
from apps.telemetry import store
from apps.telemetry.store import Sample, SeriesKey
from apps.tenancy import acting_in

SKEW = "agent.clock.skew_seconds"
_GAUGES: Mapping[str, str] = {
    "buffer_depth": "agent.buffer.depth",
    "buffer_age_seconds": "agent.buffer.age_seconds",
    "jobs_running": "agent.jobs.running",
    "poll_errors_total": "agent.poll.errors_total",
    "push_lag_seconds": "agent.push.lag_seconds",
}


class Heartbeat(msgspec.Struct, frozen=True):
    """The body of ``POST /ingest/v1/heartbeat``."""

    sent_at: datetime
    boot_id: UUID
    version: str = ""
    capabilities: list[str] = []
    buffer_depth: float | None = None
    buffer_age_seconds: float | None = None
    jobs_running: float | None = None
    poll_errors_total: float | None = None
    push_lag_seconds: float | None = None
    sealing_public_key: str = ""
    trusted_authorities: list[str] = []


def accept_heartbeat(
    *, identity: AgentIdentity, heartbeat: Heartbeat, source: str = "", at: datetime
) -> None:
    """Record the heartbeat, and store its values as samples of the agent at the server's time. Raises NotVisible."""
    reported = {name: getattr(heartbeat, name) for name in _GAUGES}
    health = {
        name: _bounded(_GAUGES[name], value)
        for name, value in reported.items()
        if value is not None
    }
    values = {_GAUGES[name]: value for name, value in health.items()} | {"agent.up": 1.0}
    with acting_in(identity.tenant_id):
        agent = record_heartbeat(
            agent_id=identity.agent_id,
            version=heartbeat.version,
            capabilities=heartbeat.capabilities,
            boot_id=heartbeat.boot_id,
            sealing_public_key=heartbeat.sealing_public_key,
            trusted_authorities=heartbeat.trusted_authorities,
            health=health,
            heartbeat=HeartbeatInfo(
                sent_at=heartbeat.sent_at if heartbeat.sent_at.tzinfo is not None else None,
                address=_address(source),
                serial=identity.serial,
                not_before=identity.not_before,
                not_after=identity.not_after,
            ),
            at=at,
        )
        if agent.clock_skew_seconds is not None:
            values[SKEW] = _bounded(SKEW, agent.clock_skew_seconds)
        values[GAUGE] = float(is_quarantining(identity.agent_id, at))
        store.write_batch(
            samples=[
                Sample(SeriesKey("agent", identity.agent_id, name), at, value)
                for name, value in values.items()
            ],
            received_at=at,
        )


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _bounded(metric: str, value: float) -> float:
    return min(max(value, METRICS[metric].minimum), METRICS[metric].maximum)
