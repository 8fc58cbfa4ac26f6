from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.authorization.actors import Actor
from apps.inventory.choices import ProbeMethod, ServiceKind
from apps.inventory.models import Device, ProbeTarget, Service
from apps.inventory.services.expected import ensure_alias
from apps.inventory.services.writing import delete_row, save_changes, save_new

#: The service name that a RouterOS PPPoE server answers to unless it was given another.
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
    """Ask an address from outside. Raises NameTaken, ValidationError."""
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
    """Change a probe. Raises NameTaken, ValidationError."""
    save_changes(target, changes, actor=actor, at=at)
    return target


def delete_probe_target(*, target: ProbeTarget, actor: Actor, at: datetime) -> None:
    """Stop asking."""
    delete_row(target, actor=actor, at=at)


def create_service(
    *,
    name: str,
    kind: str = ServiceKind.OTHER,
    device: Device | None = None,
    actor: Actor,
    at: datetime,
) -> Service:
    """Name something that customers buy. Raises NameTaken, ValidationError."""
    service = Service(name=name, kind=kind, device=device)
    with transaction.atomic():
        save_new(service, actor=actor, at=at)
        ensure_alias(service)
    return service


def update_service(
    *, service: Service, changes: Mapping[str, Any], actor: Actor, at: datetime
) -> Service:
    """Change a service. Raises NameTaken, ValidationError."""
    with transaction.atomic():
        save_changes(service, changes, actor=actor, at=at)
        ensure_alias(service)
    return service


def delete_service(*, service: Service, actor: Actor, at: datetime) -> None:
    """Forget a service."""
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
    """Watch a router from outside: a UDP echo (where it has an echo port) and a TCP connect to its API.

    Idempotent: a target of that name on that device is kept as it is.
    """
    wanted = []
    if ProbeMethod.UDP_ECHO in methods and echo_port is not None:
        wanted.append((f"{device.name} echo", ProbeMethod.UDP_ECHO, echo_port))
    if ProbeMethod.TCP in methods:
        wanted.append((f"{device.name} api", ProbeMethod.TCP, device.api_port))
    with transaction.atomic():
        present = {target.name: target for target in ProbeTarget.objects.filter(device=device)}
        return [
            present.get(name)
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
            for name, method, port in wanted
        ]


def ensure_pppoe_service(
    *, device: Device, name: str = DEFAULT_PPPOE_SERVICE, actor: Actor, at: datetime
) -> Service:
    """Count a BNG's PPPoE sessions under this service name. Idempotent."""
    found = Service.objects.filter(device=device, kind=ServiceKind.PPPOE, name=name).first()
    return found or create_service(
        name=name, kind=ServiceKind.PPPOE, device=device, actor=actor, at=at
    )
