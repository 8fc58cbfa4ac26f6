from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.accounts.actors import Actor
from apps.agents.models import Agent
from apps.agents.selectors import assigned_device_ids, get_agent
from apps.agents.services.enrollment import bounded, read_sealing_key
from apps.audit.services import record
from apps.inventory.services import DiscoveryOutcome, apply_discovery

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
    at: datetime,
) -> Agent:
    """Note that an agent is alive and what it says of itself. ``health`` must be JSON-safe and bounded by the caller.

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
    if boot_id is not None:
        fields["boot_id"] = boot_id
    key = read_sealing_key(sealing_public_key) if sealing_public_key else None
    changed = key is not None and key != bytes(agent.sealing_public_key or b"")
    if changed:
        fields["sealing_public_key"] = key
    for name, value in fields.items():
        setattr(agent, name, value)
    agent.save(update_fields=list(fields))
    if changed:
        record(
            action="agent.sealing_key_changed",
            actor=Actor.agent(agent.id, agent.name),
            entity=("agent", agent.id),
            at=at,
        )
    return agent


def accept_discovery(*, agent_id: UUID, patch: Mapping[str, Any], at: datetime) -> DiscoveryOutcome:
    """Take in an agent's ``inventory_patch``: only of the devices that it watches. Raises NotVisible."""
    agent = get_agent(agent_id)
    return apply_discovery(
        patch=patch,
        device_ids=assigned_device_ids(agent_id),
        actor=Actor.agent(agent.id, agent.name),
        at=at,
    )
