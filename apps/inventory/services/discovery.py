"""Taking in what agents found on their routers."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.choices import EntityType, ServiceKind, Source
from apps.inventory.models import (
    BgpPeer,
    Device,
    Interface,
    OspfNeighbor,
    Service,
    WireAlias,
)
from apps.inventory.patch import (
    BgpPeerItem,
    DeviceItem,
    InterfaceItem,
    OspfNeighborItem,
    ParsedPatch,
    Rejection,
    ServiceItem,
    parse_patch,
)
from apps.inventory.selectors import existing_device_ids
from apps.inventory.services.links import bind_links
from apps.inventory.services.logins import note_certificates

#: Entities of one kind on one router; a router that lists more (a leak, an attack) gets no further ones.
MAX_PER_DEVICE = 5_000

_DEVICE_FIELDS = ("identity", "version", "board_name", "serial", "model")


@dataclass(frozen=True)
class DiscoveryOutcome:
    """What a patch did: how many entities are new or changed, how many links gained an end, what was refused."""

    created: int
    changed: int
    links_bound: int
    rejected: tuple[Rejection, ...]
    # Devices of the tenant that the patch speaks of and that are not this agent's.
    not_assigned: frozenset[UUID] = frozenset()


@dataclass(frozen=True)
class _Kind:
    """How the items of one section become rows: keys are tried in order against the rows' keys."""

    section: str
    entity_type: EntityType
    model: type[Any]
    keys_of_item: Callable[[Any], list[tuple[Any, ...]]]
    keys_of_row: Callable[[Any], list[tuple[Any, ...]]]
    values: Callable[[Any], dict[str, Any]]


def apply_discovery(
    *, patch: Mapping[str, Any], device_ids: Collection[UUID], actor: Actor, at: datetime
) -> DiscoveryOutcome:
    """Add what is new, fill in what has changed, on the devices that this agent watches (``device_ids``).

    New entities take their wire id as id. What an operator set is left alone; what an operator made under the
    same natural key is adopted by an alias and keeps its id. Idempotent. Locks: the devices, in order of id.
    """
    parsed = parse_patch(patch)
    allowed = set(device_ids)
    strangers = existing_device_ids(parsed.device_ids - allowed)
    parsed.refuse(
        lambda item: item.device_id not in strangers,
        "not_assigned",
        "This device is not assigned to this agent.",
    )
    parsed.refuse(lambda item: item.device_id in allowed, "unknown_entity", "No such device.")
    with transaction.atomic():
        devices = {
            device.id: device
            for device in Device.objects.select_for_update(no_key=True)
            .filter(pk__in=parsed.device_ids)
            .order_by("pk")
        }
        parsed.refuse(lambda item: item.device_id in devices, "unknown_entity", "No such device.")
        told: list[DeviceItem] = list(parsed.items["devices"].values())
        read = [item for item in told if item.presented_certificate is None]
        changed = _fill_in_devices(read, devices, at)
        created: dict[str, int] = {}
        for kind in _KINDS:
            made, altered = _apply_kind(kind, parsed, at)
            changed += altered
            if made:
                created[kind.section] = made
        bound = bind_links(device_ids=devices) if created.get("interfaces") else 0
        note_certificates(
            accepted={item.id: item.certificate for item in told if item.certificate},
            presented={
                item.id: item.presented_certificate for item in told if item.presented_certificate
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
        sum(created.values()), changed, bound, tuple(parsed.rejected), frozenset(strangers)
    )


def _fill_in_devices(
    items: Iterable[DeviceItem], devices: Mapping[UUID, Device], at: datetime
) -> int:
    rows, changed = [], 0
    for item in items:
        row = devices[item.id]
        said = {name: getattr(item, name) for name in _DEVICE_FIELDS}
        row.working_credential_set = item.credential_set or row.working_credential_set
        changed += bool(_fill_in(row, said))
        row.discovered_at = row.discovered_at or at
        row.last_seen_at = at
        rows.append(row)
    if rows:
        Device.objects.bulk_update(
            rows, [*_DEVICE_FIELDS, "working_credential_set", "discovered_at", "last_seen_at"]
        )
    return changed


def _apply_kind(kind: _Kind, parsed: ParsedPatch, at: datetime) -> tuple[int, int]:
    items = parsed.items[kind.section]
    if not items:
        return 0, 0
    aliases = dict(WireAlias.objects.filter(wire_id__in=items).values_list("wire_id", "entity_id"))
    rows = list(kind.model.objects.filter(device__in={i.device_id for i in items.values()}))
    by_id = {row.id: row for row in rows}
    by_key = {key: row for row in rows for key in kind.keys_of_row(row)}
    known: dict[UUID, Any] = {}
    for wire_id, item in items.items():
        row = by_id.get(aliases.get(wire_id, wire_id))
        known[wire_id] = row or next(
            (by_key[key] for key in kind.keys_of_item(item) if key in by_key), None
        )
    new = _make_rows(kind, parsed, rows, known, at)
    seen = [row for row in known.values() if row is not None]
    altered, fields = _alter_rows(kind, items, known)
    kind.model.objects.bulk_create(new.values())
    if seen:
        kind.model.objects.filter(pk__in=[row.pk for row in seen]).update(last_seen_at=at)
    if altered:
        kind.model.objects.bulk_update(altered, sorted(fields))
    WireAlias.objects.bulk_create(
        WireAlias(
            wire_id=wire_id,
            device_id=row.device_id,
            entity_type=kind.entity_type,
            entity_id=row.id,
        )
        for wire_id, row in {**known, **new}.items()
        if row is not None and wire_id not in aliases
    )
    return len(new), len(altered)


def _make_rows(
    kind: _Kind,
    parsed: ParsedPatch,
    rows: list[Any],
    known: Mapping[UUID, Any],
    at: datetime,
) -> dict[UUID, Any]:
    """Rows for what is new, within the bound per device."""
    count: dict[UUID, int] = {}
    for row in rows:
        count[row.device_id] = count.get(row.device_id, 0) + 1
    new: dict[UUID, Any] = {}
    for wire_id, item in parsed.items[kind.section].items():
        if known[wire_id] is not None:
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
        said = {name: value for name, value in kind.values(item).items() if value is not None}
        new[wire_id] = kind.model(
            id=wire_id,
            device_id=item.device_id,
            source=Source.DISCOVERED,
            last_seen_at=at,
            **said,
        )
    return new


def _alter_rows(
    kind: _Kind, items: Mapping[UUID, Any], known: Mapping[UUID, Any]
) -> tuple[list[Any], set[str]]:
    altered: list[Any] = []
    fields: set[str] = set()
    for wire_id, row in known.items():
        names = _fill_in(row, kind.values(items[wire_id])) if row is not None else []
        if names:
            altered.append(row)
            fields.update(names)
    return altered, fields


def _fill_in(row: Any, said: Mapping[str, Any]) -> list[str]:
    """Set what was said and is not the operator's; the names of the fields that changed."""
    changed = [
        name
        for name, value in said.items()
        if value is not None and name not in row.operator_fields and getattr(row, name) != value
    ]
    for name in changed:
        setattr(row, name, said[name])
    return changed


def _interface_values(item: InterfaceItem) -> dict[str, Any]:
    return {
        "name": item.name,
        "type": item.type,
        "disabled": item.disabled,
        "mac_address": item.mac_address,
        "comment": item.comment,
        "mtu": item.mtu,
        "speed_bps": item.speed_bps,
    }


def _bgp_values(item: BgpPeerItem) -> dict[str, Any]:
    return {
        "name": item.name,
        "remote_address": item.remote_address,
        "remote_as": item.remote_as,
        "local_as": item.local_as,
        "disabled": item.disabled,
    }


def _bgp_item_keys(item: BgpPeerItem) -> list[tuple[Any, ...]]:
    remote = (item.device_id, item.remote_address, item.remote_as)
    # A session that an operator entered without its name is adopted when the router tells the name.
    return [(item.device_id, item.name), remote] if item.name else [remote]


def _bgp_row_keys(row: BgpPeer) -> list[tuple[Any, ...]]:
    if row.name:
        return [(row.device_id, row.name)]
    return [(row.device_id, row.remote_address, row.remote_as)]


def _ospf_values(item: OspfNeighborItem) -> dict[str, Any]:
    return {
        "router_id": item.router_id,
        "area": item.area,
        "address": item.address,
        "interface_name": item.interface,
        "instance": item.instance,
    }


def _ospf_key(row: OspfNeighbor | OspfNeighborItem) -> list[tuple[Any, ...]]:
    return [(row.device_id, row.router_id, row.area, row.address)]


def _service_key(row: Service | ServiceItem) -> list[tuple[Any, ...]]:
    return [(row.device_id, str(row.kind), row.name)]


def _interface_key(row: Interface | InterfaceItem) -> list[tuple[Any, ...]]:
    return [(row.device_id, row.name)]


_KINDS = (
    _Kind(
        "interfaces",
        EntityType.INTERFACE,
        Interface,
        _interface_key,
        _interface_key,
        _interface_values,
    ),
    _Kind("bgp_peers", EntityType.BGP_PEER, BgpPeer, _bgp_item_keys, _bgp_row_keys, _bgp_values),
    _Kind(
        "ospf_neighbors",
        EntityType.OSPF_NEIGHBOR,
        OspfNeighbor,
        _ospf_key,
        _ospf_key,
        _ospf_values,
    ),
    _Kind(
        "services",
        EntityType.SERVICE,
        Service,
        _service_key,
        _service_key,
        lambda item: {"kind": ServiceKind(item.kind), "name": item.name},
    ),
)
