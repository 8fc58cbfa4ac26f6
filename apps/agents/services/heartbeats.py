from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from apps.agents.heartbeat_checks import (
    HeartbeatEvent,
    HeartbeatInfo,
    HeartbeatState,
    check_heartbeat,
)
from apps.agents.models import Agent
from apps.agents.selectors import assigned_device_ids, get_agent
from apps.agents.services.enrollment import bounded, read_sealing_key
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.services import DiscoveryOutcome, apply_discovery
from apps.telemetry import store
from apps.telemetry.store import EventRow

CONFLICT_EVENT = "agent.identity.conflicted"
_MAX_CAPABILITIES = 50
_MAX_AUTHORITIES = 10


def record_heartbeat(
    *,
    agent_id: UUID,
    version: str = "",
    capabilities: Sequence[str] = (),
    boot_id: UUID | None = None,
    sealing_public_key: str = "",
    trusted_authorities: Sequence[str] = (),
    health: Mapping[str, Any] | None = None,
    heartbeat: HeartbeatInfo | None = None,
    at: datetime,
) -> Agent:
    """Store a heartbeat. ``health`` must be JSON-safe and bounded by the caller.

    Clock skew, a second host and certificate expiry found from ``heartbeat`` become events. A new sealing key is
    audited. Raises NotVisible.
    """
    agent = get_agent(agent_id)
    fields = {
        "last_heartbeat_at": at,
        "version": bounded(version, 50),
        "capabilities": [bounded(word, 60) for word in capabilities[:_MAX_CAPABILITIES]],
        "health": dict(health or {}),
        "trusted_authorities": [bounded(pin, 64) for pin in trusted_authorities[:_MAX_AUTHORITIES]],
    }
    heartbeat = replace(heartbeat or HeartbeatInfo(), boot_id=boot_id)
    before = _state_of(agent)
    after, events = check_heartbeat(before, heartbeat, at)
    old_fields = _as_fields(before)
    # Only changed fields, so that a conflict recorded by a concurrent request is not overwritten.
    fields |= {
        name: value for name, value in _as_fields(after).items() if value != old_fields[name]
    }
    key = read_sealing_key(sealing_public_key) if sealing_public_key else None
    changed = key is not None and key != bytes(agent.sealing_public_key or b"")
    if changed:
        fields["sealing_public_key"] = key
    for name, value in fields.items():
        setattr(agent, name, value)
    agent.save(update_fields=list(fields))
    if events:
        _store_events(agent, events, at)
    if changed:
        record(
            action="agent.sealing_key_changed",
            actor=Actor.agent(agent.id, agent.name),
            entity=("agent", agent.id),
            at=at,
        )
    return agent


def _store_events(agent: Agent, events: Sequence[HeartbeatEvent], at: datetime) -> None:
    rows = [
        EventRow(
            uuid4(), at, event.event_type, event.severity, "agent", agent.id, dict(event.payload)
        )
        for event in events
    ]
    store.write_batch(events=rows, received_at=at)
    if any(event.event_type == CONFLICT_EVENT for event in events):
        _audit_conflict(agent, at)


def record_conflict(*, agent_id: UUID, how: str, at: datetime) -> None:
    """Record that two hosts use one identity; ``how`` says how it was detected. Idempotent. Raises NotVisible."""
    agent = get_agent(agent_id)
    if Agent.objects.filter(pk=agent_id, conflict_at=None).update(conflict_at=at) != 1:
        return
    _store_events(agent, [HeartbeatEvent(CONFLICT_EVENT, "critical", {"how": how})], at)


def _audit_conflict(agent: Agent, at: datetime) -> None:
    record(
        action="agent.identity_conflicted",
        actor=Actor.system("ingest"),
        entity=("agent", agent.id),
        at=at,
        detail={"name": agent.name, "address": str(agent.last_address or "")},
    )


def _state_of(agent: Agent) -> HeartbeatState:
    return HeartbeatState(
        boot_id=agent.boot_id,
        boot_first_seen_at=agent.boot_first_seen_at,
        previous_boots=tuple(agent.previous_boots),
        address=str(agent.last_address or ""),
        skewed_since=agent.skewed_since,
        clock_skews=tuple(agent.clock_skews),
        conflict_at=agent.conflict_at,
        expiry_notified=agent.expiry_notified,
    )


def _as_fields(state: HeartbeatState) -> dict[str, Any]:
    return {
        "boot_id": state.boot_id,
        "boot_first_seen_at": state.boot_first_seen_at,
        "previous_boots": list(state.previous_boots),
        "last_address": state.address or None,
        "skewed_since": state.skewed_since,
        "clock_skews": list(state.clock_skews),
        "clock_skew_seconds": max(state.clock_skews, default=None),
        "conflict_at": state.conflict_at,
        "expiry_notified": state.expiry_notified,
    }


def apply_agent_discovery(
    *, agent_id: UUID, patch: Mapping[str, Any], at: datetime
) -> DiscoveryOutcome:
    """Apply an agent's ``inventory_patch``, only for the devices that it polls. Raises NotVisible."""
    agent = get_agent(agent_id)
    return apply_discovery(
        patch=patch,
        device_ids=assigned_device_ids(agent_id),
        actor=Actor.agent(agent.id, agent.name),
        at=at,
    )
