from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from agent.collectors.registry import DEFAULT, facts_of
from apps.authorization.actors import Actor
from apps.inventory.choices import DeviceRole
from apps.inventory.models import Device, Interface, Site
from apps.inventory.moves import notify_device_move
from apps.inventory.services.base import delete_row, save_changes, save_new
from apps.inventory.services.credentials import require_usable_by
from apps.inventory.services.login_approvals import (
    DESTINATION_FIELDS,
    approve_first_login,
    destination_change,
    lock_assignments,
)
from apps.vault.models import CredentialSet


def create_device(
    *,
    name: str,
    site: Site,
    management_address: str,
    role: str = DeviceRole.OTHER,
    collector: str = DEFAULT,
    api_port: int | None = None,
    api_tls: bool = False,
    credential_set: CredentialSet | None = None,
    polling_profile: Mapping[str, float] | None = None,
    tags: Sequence[str] = (),
    actor: Actor,
    at: datetime,
) -> Device:
    """Create a device; ``polling_profile`` has the seconds that differ from the default, no ``api_port`` is the
    collector's. Its credentials are held unless the actor may approve them.

    Raises NameTaken, ValidationError.
    """
    require_usable_by(collector, credential_set)
    device = Device(
        name=name,
        site=site,
        role=role,
        management_address=management_address,
        collector=collector,
        api_port=facts_of(collector).default_port(tls=api_tls) if api_port is None else api_port,
        api_tls=api_tls,
        credential_set=credential_set,
        polling_profile=dict(polling_profile or {}),
        tags=list(tags),
    )
    with transaction.atomic():
        if credential_set is not None:
            lock_assignments()
        save_new(device, actor=actor, at=at)
        approve_first_login(device, actor=actor, at=at)
    return device


def update_device(
    *, device: Device, changes: Mapping[str, Any], actor: Actor, at: datetime
) -> Device:
    """Change a device; discovery no longer changes these fields. If the destination of its credentials changes,
    they are held unless the actor may approve that. Raises NameTaken, ValidationError."""
    if not {"collector", "credential_set"}.isdisjoint(changes):
        require_usable_by(
            changes.get("collector", device.collector),
            changes.get("credential_set", device.credential_set),
        )
    if "api_port" in changes and changes["api_port"] is None:
        changes = {**changes, "api_port": _default_port(device, changes)}
    former_site_id = device.site_id
    with transaction.atomic():
        if DESTINATION_FIELDS.isdisjoint(changes):
            save_changes(device, changes, actor=actor, at=at)
        else:
            with destination_change(device.pk, actor=actor, at=at):
                save_changes(device, changes, actor=actor, at=at)
        if device.site_id != former_site_id:
            notify_device_move(device.id, former_site_id, at)
    return device


def _default_port(device: Device, changes: Mapping[str, Any]) -> int:
    facts = facts_of(changes.get("collector", device.collector))
    return facts.default_port(tls=changes.get("api_tls", device.api_tls))


def delete_device(*, device: Device, actor: Actor, at: datetime) -> None:
    """Delete a device with its interfaces, sessions, links, services and probe targets."""
    delete_row(device, actor=actor, at=at)


def update_interface(
    *, interface: Interface, changes: Mapping[str, Any], actor: Actor, at: datetime
) -> Interface:
    """Override discovered values (speed, comment); discovery no longer changes these fields."""
    save_changes(interface, changes, actor=actor, at=at)
    return interface
