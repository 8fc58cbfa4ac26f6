from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.authorization.actors import Actor
from apps.inventory.choices import ProbeMethod, ServiceKind
from apps.inventory.models import Device, ProbeTarget, Service
from apps.inventory.services.base import delete_row, save_changes, save_new
from apps.inventory.services.sessions import ensure_alias

#: The service name of a PPPoE server that was given none.
DEFAULT_PPPOE_SERVICE = "pppoe"


def create_probe_target(
    *,
    name: str,
    method: str,
    address: str,
    port: int,
    device: Device | None = None,
    interval_seconds: int = 10,
    count: int = 5,
    timeout_seconds: float = 1.0,
    actor: Actor,
    at: datetime,
) -> ProbeTarget:
    """Create a probe target. Raises NameTaken, ValidationError."""
    target = ProbeTarget(
        name=name,
        method=method,
        address=address,
        port=port,
        device=device,
        interval_seconds=interval_seconds,
        count=count,
        timeout_seconds=timeout_seconds,
    )
    save_new(target, actor=actor, at=at)
    return target


def update_probe_target(
    *, target: ProbeTarget, changes: Mapping[str, Any], actor: Actor, at: datetime
) -> ProbeTarget:
    """Change a probe target. Raises NameTaken, ValidationError."""
    save_changes(target, changes, actor=actor, at=at)
    return target


def delete_probe_target(*, target: ProbeTarget, actor: Actor, at: datetime) -> None:
    """Delete a probe target."""
    delete_row(target, actor=actor, at=at)


def create_service(
    *,
    name: str,
    kind: str = ServiceKind.OTHER,
    device: Device | None = None,
    actor: Actor,
    at: datetime,
) -> Service:
    """Create a customer service. Raises NameTaken, ValidationError."""
    service = Service(name=name, kind=kind, device=device)
    with transaction.atomic():
        save_new(service, actor=actor, at=at)
        ensure_alias(service)
    return service


def update_service(
    *, service: Service, changes: Mapping[str, Any], actor: Actor, at: datetime
) -> Service:
    """Change a customer service. Raises NameTaken, ValidationError."""
    with transaction.atomic():
        save_changes(service, changes, actor=actor, at=at)
        ensure_alias(service)
    return service


def delete_service(*, service: Service, actor: Actor, at: datetime) -> None:
    """Delete a customer service."""
    delete_row(service, actor=actor, at=at)


def create_default_probe_targets(
    *,
    device: Device,
    echo_port: int | None = None,
    methods: Collection[str] = (ProbeMethod.UDP_ECHO, ProbeMethod.TCP),
    interval_seconds: int = 10,
    actor: Actor,
    at: datetime,
) -> list[ProbeTarget]:
    """Create the default probe targets of a device: UDP echo if it has an echo port, TCP connect if its API uses TCP.

    Idempotent: an existing target of that name on that device is unchanged.
    """
    defaults = []
    if ProbeMethod.UDP_ECHO in methods and echo_port is not None:
        defaults.append((f"{device.name} echo", ProbeMethod.UDP_ECHO, echo_port))
    if ProbeMethod.TCP in methods and device.collector_facts.transport == "tcp":
        defaults.append((f"{device.name} api", ProbeMethod.TCP, device.api_port))
    with transaction.atomic():
        existing = {target.name: target for target in ProbeTarget.objects.filter(device=device)}
        return [
            existing.get(name)
            or create_probe_target(
                name=name,
                method=method,
                address=device.management_address,
                port=port,
                device=device,
                interval_seconds=interval_seconds,
                actor=actor,
                at=at,
            )
            for name, method, port in defaults
        ]


def ensure_pppoe_service(
    *, device: Device, name: str = DEFAULT_PPPOE_SERVICE, actor: Actor, at: datetime
) -> Service:
    """Count a BNG's PPPoE sessions under this service name. Idempotent."""
    service = Service.objects.filter(device=device, kind=ServiceKind.PPPOE, name=name).first()
    return service or create_service(
        name=name, kind=ServiceKind.PPPOE, device=device, actor=actor, at=at
    )
