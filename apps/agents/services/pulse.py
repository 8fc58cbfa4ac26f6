from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from apps.agents.models import Agent
from apps.agents.selectors import assigned_device_ids, get_agent
from apps.agents.services.enrollment import bounded, read_sealing_key
from apps.agents.watch import Known, Notice, Sighting, look_at
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.services import DiscoveryOutcome, apply_discovery
from apps.telemetry import store
from apps.telemetry.store import EventRow

CONFLICT = "agent.identity.conflicted"
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
    sighting: Sighting | None = None,
    at: datetime,
) -> Agent:
    """Note that an agent is alive and what it says of itself. ``health`` must be JSON-safe and bounded by the caller.

    What ``sighting`` gives away (a wrong clock, a second host, a certificate near its end) becomes events.
    A new sealing key is audited: passwords will be sealed to it from now on. Raises NotVisible.
    """
    agent = get_agent(agent_id)
    fields = {
        "last_heartbeat_at": at,
        "version": bounded(version, 50),
        "capabilities": [bounded(word, 60) for word in capabilities[:_MAX_CAPABILITIES]],
        "health": dict(health or {}),
        "trusted_authorities": [bounded(pin, 64) for pin in trusted_authorities[:_MAX_AUTHORITIES]],
    }
    seen = replace(sighting or Sighting(), boot_id=boot_id)
    before = _known(agent)
    after, notices = look_at(before, seen, at)
    was = _as_fields(before)
    # Only what changed: a conflict that another request notes at this moment stays.
    fields |= {name: value for name, value in _as_fields(after).items() if value != was[name]}
    key = read_sealing_key(sealing_public_key) if sealing_public_key else None
    changed = key is not None and key != bytes(agent.sealing_public_key or b"")
    if changed:
        fields["sealing_public_key"] = key
    for name, value in fields.items():
        setattr(agent, name, value)
    agent.save(update_fields=list(fields))
    if notices:
        _tell(agent, notices, at)
    if changed:
        record(
            action="agent.sealing_key_changed",
            actor=Actor.agent(agent.id, agent.name),
            entity=("agent", agent.id),
            at=at,
        )
    return agent


def _tell(agent: Agent, notices: Sequence[Notice], at: datetime) -> None:
    events = [
        EventRow(uuid4(), at, one.event_type, one.severity, "agent", agent.id, dict(one.payload))
        for one in notices
    ]
    store.write_batch(events=events, received_at=at)
    if any(one.event_type == CONFLICT for one in notices):
        _audit_conflict(agent, at)


def note_conflict(*, agent_id: UUID, how: str, at: datetime) -> None:
    """Two hosts were caught under one identity by what they sent (``how``). Idempotent. Raises NotVisible."""
    agent = get_agent(agent_id)
    if Agent.objects.filter(pk=agent_id, conflict_at=None).update(conflict_at=at) != 1:
        return
    _tell(agent, [Notice(CONFLICT, "critical", {"how": how})], at)


def _audit_conflict(agent: Agent, at: datetime) -> None:
    record(
        action="agent.identity_conflicted",
        actor=Actor.system("ingest"),
        entity=("agent", agent.id),
        at=at,
        detail={"name": agent.name, "address": str(agent.heard_address or "")},
    )


def _known(agent: Agent) -> Known:
    return Known(
        boot_id=agent.boot_id,
        boot_since=agent.boot_since,
        former_boots=tuple(agent.former_boots),
        address=str(agent.heard_address or ""),
        skewed_since=agent.skewed_since,
        conflict_at=agent.conflict_at,
        expiry_told=agent.expiry_told,
    )


def _as_fields(known: Known) -> dict[str, Any]:
    return {
        "boot_id": known.boot_id,
        "boot_since": known.boot_since,
        "former_boots": list(known.former_boots),
        "heard_address": known.address or None,
        "skewed_since": known.skewed_since,
        "conflict_at": known.conflict_at,
        "expiry_told": known.expiry_told,
    }


def accept_discovery(*, agent_id: UUID, patch: Mapping[str, Any], at: datetime) -> DiscoveryOutcome:
    """Take in an agent's ``inventory_patch``: only of the devices that it watches. Raises NotVisible."""
    agent = get_agent(agent_id)
    return apply_discovery(
        patch=patch,
        device_ids=assigned_device_ids(agent_id),
        actor=Actor.agent(agent.id, agent.name),
        at=at,
    )
