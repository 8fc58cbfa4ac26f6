from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from apps.authorization.actors import Actor
from apps.inventory.choices import LinkKind
from apps.inventory.errors import InterfaceTaken
from apps.inventory.models import Device, Interface, Link
from apps.inventory.services.base import delete_row, save_changes, save_new

_ENDS = ("a", "z")


def create_link(
    *,
    name: str,
    kind: str = LinkKind.OTHER,
    a_device: Device,
    a_interface_name: str = "",
    z_device: Device | None = None,
    z_interface_name: str = "",
    capacity_bps: int | None = None,
    actor: Actor,
    at: datetime,
) -> Link:
    """Create a link. Its ends are bound to interfaces at once if those exist, else on discovery.

    Raises NameTaken, InterfaceTaken, ValidationError.
    """
    link = Link(
        name=name,
        kind=kind,
        a_device=a_device,
        a_interface_name=a_interface_name,
        z_device=z_device,
        z_interface_name=z_interface_name,
        capacity_bps=capacity_bps,
    )
    with transaction.atomic():
        _require_free_ends(link)
        _bind(link, _interfaces_at([link]))
        save_new(link, actor=actor, at=at)
    return link


def update_link(*, link: Link, changes: Mapping[str, Any], actor: Actor, at: datetime) -> Link:
    """Change a link; a changed end is bound again. Raises NameTaken, InterfaceTaken, ValidationError."""
    with transaction.atomic():
        changed = set(save_changes(link, changes, actor=actor, at=at))
        if changed & {f"{end}_{part}" for end in _ENDS for part in ("device", "interface_name")}:
            _require_free_ends(link)
            _bind(link, _interfaces_at([link]))
            link.save(update_fields=["a_interface", "z_interface"])
    return link


def delete_link(*, link: Link, actor: Actor, at: datetime) -> None:
    """Delete a link."""
    delete_row(link, actor=actor, at=at)


def bind_links(*, device_ids: Collection[UUID]) -> int:
    """Bind unbound ends on these devices whose interfaces exist now; returns the number of changed links."""
    unbound = list(
        Link.objects.filter(
            Q(a_device__in=device_ids, a_interface=None) & ~Q(a_interface_name="")
            | Q(z_device__in=device_ids, z_interface=None) & ~Q(z_interface_name="")
        )
    )
    if not unbound:
        return 0
    interfaces = _interfaces_at(unbound)
    bound = [link for link in unbound if _bind(link, interfaces)]
    Link.objects.bulk_update(bound, ["a_interface", "z_interface"])
    return len(bound)


def _interfaces_at(links: Collection[Link]) -> dict[tuple[UUID, str], UUID]:
    ends = {_end(link, end) for link in links for end in _ENDS}
    rows = Interface.objects.filter(
        device__in={device_id for device_id, name in ends if device_id and name},
        name__in={name for _, name in ends if name},
    )
    return {
        (device_id, name): pk for pk, device_id, name in rows.values_list("pk", "device_id", "name")
    }


def _bind(link: Link, interfaces: Mapping[tuple[UUID, str], UUID]) -> bool:
    before = (link.a_interface_id, link.z_interface_id)
    link.a_interface_id = interfaces.get((link.a_device_id, link.a_interface_name))
    link.z_interface_id = (
        interfaces.get((link.z_device_id, link.z_interface_name)) if link.z_device_id else None
    )
    return before != (link.a_interface_id, link.z_interface_id)


def _end(link: Link, end: str) -> tuple[UUID | None, str]:
    return (getattr(link, f"{end}_device_id"), getattr(link, f"{end}_interface_name"))


def _require_free_ends(link: Link) -> None:
    for end in _ENDS:
        device_id, name = _end(link, end)
        if device_id is None or not name:
            continue
        other = (
            Link.objects.exclude(pk=link.pk)
            .filter(
                Q(a_device=device_id, a_interface_name=name)
                | Q(z_device=device_id, z_interface_name=name)
            )
            .first()
        )
        if other is not None:
            raise InterfaceTaken(
                message=f"{name} is already an end of {other.name}.",
                **{f"{end}_interface_name": name},
            )
