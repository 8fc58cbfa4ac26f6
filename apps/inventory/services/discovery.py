"""Applying the entities that agents discovered on their devices."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.choices import Source
from apps.inventory.models import Device, EntityAlias
from apps.inventory.patch import DeviceItem, ParsedPatch, Rejection, parse_patch
from apps.inventory.selectors import existing_device_ids
from apps.inventory.services.discovery_kinds import ENTITY_KINDS, EntityKind
from apps.inventory.services.links import bind_links
from apps.inventory.services.login_approvals import record_certificates

#: Entities of one kind per device; more (a leak, an attack) are rejected.
MAX_PER_DEVICE = 5_000

_DEVICE_FIELDS = ("identity", "version", "board_name", "serial", "model")


@dataclass(frozen=True)
class DiscoveryOutcome:
    """Result of a patch: counts of created and changed entities and of bound links, and the rejections."""

    created: int
    changed: int
    links_bound: int
    rejected: tuple[Rejection, ...]
    # Devices of the tenant in the patch that are not assigned to this agent.
    not_assigned: frozenset[UUID] = frozenset()


def apply_discovery(
    *, patch: Mapping[str, Any], device_ids: Collection[UUID], actor: Actor, at: datetime
) -> DiscoveryOutcome:
    """Create new entities and update changed ones on the devices that this agent polls (``device_ids``).

    New entities use their wire id as id. Fields set by an operator are unchanged; a row created by an operator with
    the same natural key gets an alias and keeps its id. Idempotent. Locks: the devices, in order of id.
    """
    parsed = parse_patch(patch)
    allowed = set(device_ids)
    unassigned = existing_device_ids(parsed.device_ids - allowed)
    parsed.reject_unless(
        lambda item: item.device_id not in unassigned,
        "not_assigned",
        "This device is not assigned to this agent.",
    )
    parsed.reject_unless(
        lambda item: item.device_id in allowed, "unknown_entity", "No such device."
    )
    with transaction.atomic():
        devices = {
            device.id: device
            for device in Device.objects.select_for_update(no_key=True)
            .filter(pk__in=parsed.device_ids)
            .order_by("pk")
        }
        parsed.reject_unless(
            lambda item: item.device_id in devices, "unknown_entity", "No such device."
        )
        device_items: list[DeviceItem] = list(parsed.items["devices"].values())
        polled = [item for item in device_items if item.presented_certificate is None]
        changed = _update_devices(polled, devices, at)
        created: dict[str, int] = {}
        for kind in ENTITY_KINDS:
            created_count, changed_count = _apply_kind(kind, parsed, at)
            changed += changed_count
            if created_count:
                created[kind.section] = created_count
        bound = bind_links(device_ids=devices) if created.get("interfaces") else 0
        record_certificates(
            accepted={item.id: item.certificate for item in device_items if item.certificate},
            presented={
                item.id: item.presented_certificate
                for item in device_items
                if item.presented_certificate
            },
            actor=actor,
            at=at,
        )
        if created:
            record(
                action="inventory.discovered",
                actor=actor,
                entity=("agent", actor.id),
                at=at,
                detail=created,
            )
    return DiscoveryOutcome(
        sum(created.values()), changed, bound, tuple(parsed.rejected), frozenset(unassigned)
    )


def _update_devices(
    items: Iterable[DeviceItem], devices: Mapping[UUID, Device], at: datetime
) -> int:
    rows, changed = [], 0
    for item in items:
        row = devices[item.id]
        values = {name: getattr(item, name) for name in _DEVICE_FIELDS}
        row.working_credential_set = item.credential_set or row.working_credential_set
        changed += bool(_update_fields(row, values))
        row.discovered_at = row.discovered_at or at
        row.last_seen_at = at
        rows.append(row)
    if rows:
        Device.objects.bulk_update(
            rows, [*_DEVICE_FIELDS, "working_credential_set", "discovered_at", "last_seen_at"]
        )
    return changed


def _apply_kind(kind: EntityKind, parsed: ParsedPatch, at: datetime) -> tuple[int, int]:
    items = parsed.items[kind.section]
    if not items:
        return 0, 0
    aliases = dict(
        EntityAlias.objects.filter(wire_id__in=items).values_list("wire_id", "entity_id")
    )
    rows = list(kind.model.objects.filter(device__in={i.device_id for i in items.values()}))
    by_id = {row.id: row for row in rows}
    by_key = {key: row for row in rows for key in kind.keys_of_row(row)}
    existing: dict[UUID, Any] = {}
    for wire_id, item in items.items():
        row = by_id.get(aliases.get(wire_id, wire_id))
        existing[wire_id] = row or next(
            (by_key[key] for key in kind.keys_of_item(item) if key in by_key), None
        )
    new = _new_rows(kind, parsed, rows, existing, at)
    reported = [row for row in existing.values() if row is not None]
    changed, fields = _changed_rows(kind, items, existing)
    kind.model.objects.bulk_create(new.values())
    if reported:
        kind.model.objects.filter(pk__in=[row.pk for row in reported]).update(last_seen_at=at)
    if changed:
        kind.model.objects.bulk_update(changed, sorted(fields))
    EntityAlias.objects.bulk_create(
        EntityAlias(
            wire_id=wire_id,
            device_id=row.device_id,
            entity_type=kind.entity_type,
            entity_id=row.id,
        )
        for wire_id, row in {**existing, **new}.items()
        if row is not None and wire_id not in aliases
    )
    return len(new), len(changed)


def _new_rows(
    kind: EntityKind,
    parsed: ParsedPatch,
    rows: list[Any],
    existing: Mapping[UUID, Any],
    at: datetime,
) -> dict[UUID, Any]:
    """Rows of new entities, up to the limit per device."""
    count: dict[UUID, int] = {}
    for row in rows:
        count[row.device_id] = count.get(row.device_id, 0) + 1
    new: dict[UUID, Any] = {}
    for wire_id, item in parsed.items[kind.section].items():
        if existing[wire_id] is not None:
            continue
        count[item.device_id] = count.get(item.device_id, 0) + 1
        if count[item.device_id] > MAX_PER_DEVICE:
            index = parsed.positions[kind.section, wire_id]
            parsed.rejected.append(
                Rejection(
                    kind.section,
                    index,
                    "too_many_entities",
                    f"A device has at most {MAX_PER_DEVICE} {kind.section}.",
                )
            )
            continue
        values = {name: value for name, value in kind.values(item).items() if value is not None}
        new[wire_id] = kind.model(
            id=wire_id,
            device_id=item.device_id,
            source=Source.DISCOVERED,
            last_seen_at=at,
            **values,
        )
    return new


def _changed_rows(
    kind: EntityKind, items: Mapping[UUID, Any], existing: Mapping[UUID, Any]
) -> tuple[list[Any], set[str]]:
    changed: list[Any] = []
    fields: set[str] = set()
    for wire_id, row in existing.items():
        names = _update_fields(row, kind.values(items[wire_id])) if row is not None else []
        if names:
            changed.append(row)
            fields.update(names)
    return changed, fields


def _update_fields(row: Any, values: Mapping[str, Any]) -> list[str]:
    """Set reported values except in operator fields; returns the names of the changed fields."""
    changed = [
        name
        for name, value in values.items()
        if value is not None and name not in row.operator_fields and getattr(row, name) != value
    ]
    for name in changed:
        setattr(row, name, values[name])
    return changed
