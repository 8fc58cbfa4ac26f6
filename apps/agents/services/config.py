"""What an agent is told to do: its whole assignment, with router passwords sealed to it."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agent.protocol.config import AgentConfig
from agent.protocol.sealing import seal_for
from apps.accounts.actors import Actor
from apps.agents.models import Agent
from apps.agents.selectors import (
    HEARTBEAT_SECONDS,
    assigned_device_ids,
    get_agent,
    probed_device_ids,
)
from apps.agents.services.authority import current_trust
from apps.audit.services import record
from apps.inventory.models import BgpPeer, Device, OspfNeighbor, ProbeTarget, Service
from apps.inventory.profiles import polling_profile
from apps.inventory.selectors import WatchedDevices, watched_devices
from apps.inventory.services import wire_id_of
from apps.vault.models import CredentialSet
from apps.vault.services import open_credential_set

MAX_BATCH_METRICS = 5_000
FLUSH_SECONDS = 1


@dataclass(frozen=True)
class _Plan:
    """The document before its passwords are sealed, and the version that follows from it."""

    document: dict[str, Any]
    version: str
    credential_sets: dict[UUID, CredentialSet]


def config_version(*, agent_id: UUID, at: datetime) -> str:
    """The version of an agent's config: changes with its content, not with each sealing. Opens no secret."""
    return _plan(get_agent(agent_id), at).version


def build_config(*, agent_id: UUID, at: datetime) -> tuple[str, AgentConfig]:
    """An agent's whole assignment and its version; passwords open only with the agent's own key.

    Decrypts are audited once per agent and version. An agent that has not told its sealing key gets no passwords.
    Raises NotVisible.
    """
    agent = get_agent(agent_id)
    plan = _plan(agent, at)
    if plan.credential_sets:
        _seal_passwords(agent, plan)
        _audit_lease(agent, plan, at)
    document: AgentConfig = {"version": plan.version, **plan.document}  # type: ignore[typeddict-item]  # built below, key by key
    return plan.version, document


def _plan(agent: Agent, at: datetime) -> _Plan:
    watched = watched_devices(
        assigned_device_ids(agent.id), probed_device_ids=probed_device_ids(agent.id)
    )
    expected = _expected(watched)
    can_seal = agent.sealing_public_key is not None
    used = {
        device.id: device.credential_set
        for device in watched.devices
        if can_seal and device.credential_set is not None
    }
    trust = current_trust(at=at)
    document = {
        "agent": {"id": str(agent.id), "name": agent.name},
        "limits": {"max_batch_metrics": MAX_BATCH_METRICS, "flush_seconds": FLUSH_SECONDS},
        "heartbeat_seconds": HEARTBEAT_SECONDS,
        "ca_pem": trust.signed_with,
        "next_ca_pem": trust.next,
        "devices": [
            _device(device, used.get(device.id), expected[device.id]) for device in watched.devices
        ],
        "probe_targets": [_probe_target(target) for target in watched.probe_targets],
    }
    # The credential sets' versions stand for their passwords: they grow with each new secret.
    secrets = sorted((str(row.id), row.version) for row in used.values())
    key = bytes(agent.sealing_public_key or b"").hex()
    text = json.dumps([document, secrets, key], sort_keys=True, separators=(",", ":"))
    return _Plan(
        document=document,
        version=hashlib.sha256(text.encode()).hexdigest(),
        credential_sets=used,
    )


def _seal_passwords(agent: Agent, plan: _Plan) -> None:
    opened: dict[UUID, str] = {}
    for device in plan.document["devices"]:
        credential_set = plan.credential_sets.get(UUID(device["id"]))
        if credential_set is None:
            continue
        if credential_set.id not in opened:
            opened[credential_set.id] = open_credential_set(credential_set=credential_set)
        try:
            device["credential"]["sealed_password"] = seal_for(
                bytes(agent.sealing_public_key or b""),
                opened[credential_set.id].encode(),
                device["id"],
            )
        except ValueError:  # 32 bytes that are no usable point on the curve: it gets no password
            device["credential"] = None


def _audit_lease(agent: Agent, plan: _Plan, at: datetime) -> None:
    first = (
        Agent.objects.filter(pk=agent.pk)
        .exclude(leased_config_version=plan.version)
        .update(leased_config_version=plan.version)
    )
    if first:
        record(
            action="credentials.leased",
            actor=Actor.agent(agent.id, agent.name),
            entity=("agent", agent.id),
            at=at,
            detail={
                "config_version": plan.version,
                "credential_sets": sorted({str(row.id) for row in plan.credential_sets.values()}),
                "devices": len(plan.credential_sets),
            },
        )


def _device(
    device: Device, credential_set: CredentialSet | None, expected: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": str(device.id),
        "name": device.name,
        "address": device.management_address,
        "port": device.api_port,
        "tls": device.api_tls,
        "credential": {"username": credential_set.username, "sealed_password": ""}
        if credential_set
        else None,
        "profile": polling_profile(device.polling_profile),
        "expected": expected,
    }


def _probe_target(target: ProbeTarget) -> dict[str, Any]:
    return {
        "id": str(target.id),
        "device_id": str(target.device_id) if target.device_id else None,
        "method": target.method,
        "address": target.address,
        "port": target.port,
        "interval_s": target.interval_seconds,
        "count": target.count,
        "timeout_s": target.timeout_seconds,
    }


def _expected(watched: WatchedDevices) -> dict[UUID, dict[str, list[dict[str, str]]]]:
    """Per device what it should list, under the ids that the agent would give it."""
    found: dict[UUID, dict[str, list[dict[str, str]]]] = {
        device.id: {"ospf_neighbors": [], "bgp_peers": [], "services": []}
        for device in watched.devices
    }
    rows: list[OspfNeighbor | BgpPeer | Service] = [
        *watched.ospf_neighbors,
        *watched.bgp_peers,
        *watched.services,
    ]
    for row in rows:
        wire_id = wire_id_of(row)
        if wire_id is not None and row.device_id is not None:
            section, said = _entry(row)
            found[row.device_id][section].append({"id": str(wire_id), **said})
    return found


def _entry(row: OspfNeighbor | BgpPeer | Service) -> tuple[str, dict[str, str]]:
    if isinstance(row, OspfNeighbor):
        return "ospf_neighbors", {
            "router_id": row.router_id,
            "area": row.area,
            "address": row.address,
        }
    if isinstance(row, BgpPeer):
        return "bgp_peers", {
            "name": row.name,
            "remote_address": row.remote_address,
            "remote_as": str(row.remote_as),
        }
    return "services", {"kind": row.kind, "name": row.name}
