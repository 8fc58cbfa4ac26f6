"""The config of an agent: its whole assignment, with router passwords sealed to its host."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agent.protocol.config import AgentConfig
from apps.agents.models import Agent
from apps.agents.selectors import (
    HEARTBEAT_SECONDS,
    assigned_device_ids,
    get_agent,
    probed_device_ids,
)
from apps.agents.services.authority import current_trust
from apps.agents.services.credentials import (
    ApprovedCredentials,
    login_document,
    sealed_secrets,
)
from apps.authorization.actors import Actor
from apps.inventory.models import BgpPeer, Device, OspfNeighbor, ProbeTarget, Service
from apps.inventory.profiles import polling_profile
from apps.inventory.selectors import PolledDevices, polled_devices
from apps.inventory.services import wire_id_of
from apps.vault.choices import Purpose
from apps.vault.models import CredentialSet
from apps.vault.services import Lease, open_credential_set, take_lease

MAX_BATCH_METRICS = 5_000
FLUSH_SECONDS = 1


@dataclass(frozen=True)
class _Plan:
    """The document before its passwords are sealed, and its version."""

    document: dict[str, Any]
    version: str
    credential_sets: dict[UUID, list[CredentialSet]]


def config_version(*, agent_id: UUID, at: datetime) -> str:
    """The version of an agent's config: changes with its content, not with each sealing. Opens no secret."""
    return _plan(get_agent(agent_id), at).version


def build_config(*, agent_id: UUID, at: datetime) -> tuple[str, AgentConfig]:
    """An agent's whole assignment and its version; passwords open only with the agent's own key.

    Decryption is audited once per agent and version. No passwords without a sealing key, an approved host and an
    approved destination.
    Raises NotVisible.
    """
    agent = get_agent(agent_id)
    plan = _plan(agent, at)
    if plan.credential_sets:
        _seal_passwords(agent, plan, _lease(agent, plan, at))
    document: AgentConfig = {"version": plan.version, **plan.document}  # type: ignore[typeddict-item]  # built below, key by key
    return plan.version, document


def _plan(agent: Agent, at: datetime) -> _Plan:
    inventory = polled_devices(
        assigned_device_ids(agent.id), probed_device_ids=probed_device_ids(agent.id)
    )
    expected = _expected(inventory)
    approved = ApprovedCredentials(agent, inventory.devices)
    credential_sets = approved.by_device
    trust = current_trust(at=at)
    document = {
        "agent": {"id": str(agent.id), "name": agent.name},
        "limits": {"max_batch_metrics": MAX_BATCH_METRICS, "flush_seconds": FLUSH_SECONDS},
        "heartbeat_seconds": HEARTBEAT_SECONDS,
        "ca_pem": trust.listener_issuers,
        "next_ca_pem": trust.next,
        "devices": [_device(device, approved, expected[device.id]) for device in inventory.devices],
        "probe_targets": [_probe_target(target) for target in inventory.probe_targets],
    }
    # The credential sets' versions represent their passwords: each change increments the version.
    secrets = sorted(
        {(str(row.id), row.version) for rows in credential_sets.values() for row in rows}
    )
    key = bytes(agent.sealing_public_key or b"").hex()
    text = json.dumps([document, secrets, key], sort_keys=True, separators=(",", ":"))
    return _Plan(
        document=document,
        version=hashlib.sha256(text.encode()).hexdigest(),
        credential_sets=credential_sets,
    )


def _seal_passwords(agent: Agent, plan: _Plan, lease: Lease) -> None:
    opened: dict[UUID, dict[str, str]] = {}
    key = bytes(agent.sealing_public_key or b"")
    for device in plan.document["devices"]:
        rows = plan.credential_sets.get(UUID(device["id"]), [])
        for row, credential in zip(rows, device.get("credentials", ()), strict=True):
            if row.id not in opened:
                opened[row.id] = open_credential_set(credential_set=row, lease=lease)
            try:
                sealed = sealed_secrets(row.kind, opened[row.id], key=key, device_id=device["id"])
            except ValueError:  # 32 bytes that are not a valid curve point: no passwords
                device["credential"], device["credentials"] = None, []
                break
            credential.update(sealed)
        if device["credentials"]:  # older agents read only ``credential``
            first = device["credentials"][0]
            device["credential"]["sealed_password"] = first["sealed_password"]


def _lease(agent: Agent, plan: _Plan, at: datetime) -> Lease:
    return take_lease(
        purpose=Purpose.AGENT_CONFIG,
        holder=("agent", agent.id),
        terms=plan.version,
        actor=Actor.agent(agent.id, agent.name),
        at=at,
        detail={
            "config_version": plan.version,
            "credential_sets": sorted(
                {str(row.id) for rows in plan.credential_sets.values() for row in rows}
            ),
            "devices": len(plan.credential_sets),
        },
    )


def _device(
    device: Device, approved: ApprovedCredentials, expected: dict[str, Any]
) -> dict[str, Any]:
    rows = approved.for_device(device.id)
    credentials = [login_document(row) for row in rows]
    return {
        "id": str(device.id),
        "name": device.name,
        "collector": device.collector,
        "address": device.management_address,
        "port": device.api_port,
        "tls": device.api_tls,
        "credential": {"username": rows[0].username, "sealed_password": ""} if rows else None,
        "credentials": credentials,
        "login_held": approved.is_held(device.id),
        "tls_certificate": approved.certificate(device.id),
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


def _expected(inventory: PolledDevices) -> dict[UUID, dict[str, list[dict[str, str]]]]:
    """Expected sessions and services per device, with the ids that the agent derives for them."""
    expected: dict[UUID, dict[str, list[dict[str, str]]]] = {
        device.id: {"ospf_neighbors": [], "bgp_peers": [], "services": []}
        for device in inventory.devices
    }
    rows: list[OspfNeighbor | BgpPeer | Service] = [
        *inventory.ospf_neighbors,
        *inventory.bgp_peers,
        *inventory.services,
    ]
    for row in rows:
        wire_id = wire_id_of(row)
        if wire_id is not None and row.device_id is not None:
            section, entry = _entry(row)
            expected[row.device_id][section].append({"id": str(wire_id), **entry})
    return expected


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
