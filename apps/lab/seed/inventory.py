"""Stores a generated network: what operators enter, then what agents discover, through the discovery service."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from agent.version import VERSION
from apps.agents.choices import AgentStatus
from apps.agents.models import Agent, AgentCertificate, AgentSite
from apps.audit.services import PendingRecord, record_all
from apps.authorization.actors import Actor
from apps.inventory.models import Device, Link, ProbeTarget, Service, Site
from apps.inventory.services import apply_discovery, approve_all_logins
from apps.lab.seed.network import AREA, Network, PlannedDevice
from apps.lab.seed.storing import parts_of, store_rows
from apps.tenancy.context import require_tenant_id
from apps.vault.services import store_credential_set

SEEDER = Actor.system("seed")
DEVICES_AT_ONCE = 100
CERTIFICATE = timedelta(days=30)


def write_network(network: Network, *, at: datetime) -> None:
    """Store the network as of a moment. Call it inside the tenant."""
    login = store_credential_set(
        name="RouterOS monitoring",
        username="ispvm",
        secret=str(network.id_of("login")),
        actor=SEEDER,
        at=at,
    )
    sites = [
        Site(
            id=row.id,
            name=row.name,
            code=row.code,
            latitude=row.latitude,
            longitude=row.longitude,
        )
        for row in network.sites
    ]
    devices = [_device(row, login.id) for row in network.devices]
    links = [
        Link(
            id=row.id,
            name=row.name,
            kind=row.kind,
            a_device_id=row.a.id,
            a_interface_name=row.a_port,
            z_device_id=row.z.id if row.z else None,
            z_interface_name=row.z_port,
            capacity_bps=row.capacity_bps,
        )
        for row in network.links
    ]
    probes = [
        ProbeTarget(
            id=network.id_of("probe", row.name),
            device_id=row.id,
            name=f"{row.name} api",
            method="tcp",
            address=row.address,
            port=8728,
        )
        for row in network.devices
    ]
    transits = [
        Service(id=row.id, name=row.name, kind=row.kind, device_id=row.device.id)
        for row in network.services
        if row.kind != "pppoe"
    ]
    groups: Sequence[tuple[str, Sequence[Site | Device | Link | ProbeTarget | Service]]] = (
        ("site", sites),
        ("device", devices),
        ("link", links),
        ("probe_target", probes),
        ("service", transits),
    )
    for noun, rows in groups:
        store_rows(rows)
        record_all(
            PendingRecord(f"{noun}.created", SEEDER, (noun, row.id), at, {"name": row.name})
            for row in rows
        )
    _write_agents(network, at)
    approve_all_logins(actor=SEEDER, at=at)
    discover(network, at=at)


def _device(row: PlannedDevice, login_id: UUID) -> Device:
    return Device(
        id=row.id,
        name=row.name,
        site_id=row.site.id,
        role=row.role,
        management_address=row.address,
        credential_set_id=login_id,
        tags=[row.role] if row.role != "access" else ["last-mile"],
    )


def _write_agents(network: Network, at: datetime) -> None:
    Agent.objects.bulk_create(
        Agent(
            id=row.id,
            name=row.name,
            site_id=row.attached.site.id,
            attached_device_id=row.attached.id,
            source_address=f"10.{64 + row.region}.0.250",
            status=AgentStatus.ACTIVE,
            created_at=at,
            enrolled_at=at,
            version=VERSION,
            hostname=f"{row.name}.{network.size.domain}",
            capabilities=["routeros_api", "probe"],
            boot_id=network.id_of("boot", row.name),
            last_heartbeat_at=at,
        )
        for row in network.agents
    )
    # Serials without a certificate: no client can authenticate as one of these agents.
    AgentCertificate.objects.bulk_create(
        AgentCertificate(
            serial=network.id_of("serial", row.name).hex,
            fingerprint=network.id_of("print", row.name).bytes * 2,
            tenant_id=require_tenant_id(),
            agent_id=row.id,
            not_before=at,
            not_after=at + CERTIFICATE,
            issued_at=at,
        )
        for row in network.agents
    )
    by_region = {row.region: row.id for row in network.agents}
    AgentSite.objects.bulk_create(
        AgentSite(
            id=network.id_of("agent-site", row.code), agent_id=by_region[row.region], site_id=row.id
        )
        for row in network.sites
    )
    record_all(
        PendingRecord("agent.created", SEEDER, ("agent", row.id), at, {"name": row.name})
        for row in network.agents
    )


def discover(network: Network, *, at: datetime) -> None:
    """Discovery reports of each region's agent about its routers."""
    adjacencies: dict[UUID, list[dict[str, Any]]] = {}
    for link in network.links:
        for device, port, far in link.ends():
            adjacencies.setdefault(device.id, []).append(
                {
                    "id": str(link.adjacency_id(device, far)),
                    "device_id": str(device.id),
                    "router_id": far.address,
                    "area": AREA,
                    "address": far.address,
                    "interface": port,
                    "instance": "default-v2",
                }
            )
    peers: dict[UUID, list[dict[str, Any]]] = {}
    for peer in network.peers:
        peers.setdefault(peer.device.id, []).append(
            {
                "id": str(peer.id),
                "device_id": str(peer.device.id),
                "name": peer.name,
                "remote_address": peer.address,
                "remote_as": peer.remote_as,
                "local_as": network.size.as_number,
                "disabled": False,
            }
        )
    speeds = {
        device.port_id(port): link.capacity_bps
        for link in network.links
        for device, port in ((link.a, link.a_port), (link.z, link.z_port))
        if device is not None
    }
    services = {
        row.device.id: {
            "id": str(row.id),
            "device_id": str(row.device.id),
            "kind": "pppoe",
            "name": row.name,
        }
        for row in network.services
        if row.kind == "pppoe"
    }
    by_region = {row.region: Actor.agent(row.id, row.name) for row in network.agents}
    for region in range(network.size.regions):
        watched = [row for row in network.devices if row.site.region == region]
        for devices in parts_of(watched, DEVICES_AT_ONCE):
            outcome = apply_discovery(
                patch={
                    "devices": [_device_report(row) for row in devices],
                    "interfaces": [item for row in devices for item in _interfaces(row, speeds)],
                    "ospf_neighbors": [x for row in devices for x in adjacencies.get(row.id, ())],
                    "bgp_peers": [x for row in devices for x in peers.get(row.id, ())],
                    "services": [services[row.id] for row in devices if row.id in services],
                },
                device_ids=[row.id for row in devices],
                actor=by_region[region],
                at=at,
            )
            if outcome.rejected:
                raise RuntimeError(f"Discovery refused {outcome.rejected[0]}.")


def _device_report(row: PlannedDevice) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "identity": row.name,
        "version": row.version,
        "board_name": row.board,
        "model": row.board,
        "serial": row.serial,
    }


def _interfaces(row: PlannedDevice, speeds: dict[UUID, int]) -> Iterator[dict[str, Any]]:
    for number, name in enumerate(row.ports):
        pk = row.port_id(name)
        is_physical = name.startswith(("sfp", "ether"))
        yield {
            "id": str(pk),
            "device_id": str(row.id),
            "name": name,
            "type": "ether"
            if is_physical
            else "bridge"
            if name.startswith("bridge")
            else "loopback",
            "disabled": False,
            "mac_address": ":".join(
                f"{byte:02X}" for byte in (0x48, 0xA9, 0x8A, *row.id.bytes[:2], number)
            ),
            "mtu": 1500,
            "speed_bps": speeds.get(pk, 1_000_000_000 if is_physical else None),
        }
