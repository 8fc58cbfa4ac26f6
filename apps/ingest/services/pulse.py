"""Taking in a heartbeat: the agent is alive, and says how it is."""

from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from uuid import UUID

import msgspec

from agent.protocol.registry import METRICS
from apps.agents.services import AgentIdentity, is_quarantining, record_heartbeat
from apps.agents.services.quarantine import GAUGE
from apps.agents.watch import Sighting
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
    buffer_depth: float | None = None
    buffer_age_seconds: float | None = None
    jobs_running: float | None = None
    poll_errors_total: float | None = None
    push_lag_seconds: float | None = None
    sealing_public_key: str = ""
    trusted_authorities: list[str] = []


def accept_heartbeat(
    *, identity: AgentIdentity, beat: WireHeartbeat, source: str = "", at: datetime
) -> None:
    """Note the heartbeat and store what it says as samples of the agent, at the server's time. Raises NotVisible."""
    said = {name: getattr(beat, name) for name in _GAUGES}
    health = {
        name: _bounded(_GAUGES[name], value) for name, value in said.items() if value is not None
    }
    values = {_GAUGES[name]: value for name, value in health.items()} | {"agent.up": 1.0}
    if beat.sent_at.tzinfo is not None:
        skew = (beat.sent_at - at).total_seconds()
        values["agent.clock.skew_seconds"] = _bounded("agent.clock.skew_seconds", skew)
    with acting_in(identity.tenant_id):
        record_heartbeat(
            agent_id=identity.agent_id,
            version=beat.version,
            capabilities=beat.capabilities,
            boot_id=beat.boot_id,
            sealing_public_key=beat.sealing_public_key,
            trusted_authorities=beat.trusted_authorities,
            health=health,
            sighting=Sighting(
                sent_at=beat.sent_at if beat.sent_at.tzinfo is not None else None,
                address=_address(source),
                serial=identity.serial,
                not_before=identity.not_before,
                not_after=identity.not_after,
            ),
            at=at,
        )
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
