"""What the ids in a batch mean, remembered for a moment: an agent sends the same few hundred ids every ten seconds."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.inventory.selectors import WireEntity, resolve_wire_ids
from apps.tenancy.context import require_tenant_id

#: A deleted entity is unknown, and a merged one has its new id, within this time.
LIFE = timedelta(seconds=15)
_MAX = 500_000

_known: dict[tuple[UUID, UUID], tuple[WireEntity, datetime]] = {}


def resolve_entities(ids: Collection[UUID], *, at: datetime) -> dict[UUID, WireEntity]:
    """The current tenant's entities by wire id; unknown ids are absent. One query, none when all are fresh."""
    tenant_id = require_tenant_id()
    found: dict[UUID, WireEntity] = {}
    missing: set[UUID] = set()
    for wire_id in ids:
        entity, seen_at = _known.get((tenant_id, wire_id), (None, at))
        if entity is not None and timedelta(0) <= at - seen_at < LIFE:
            found[wire_id] = entity
        else:
            missing.add(wire_id)
    if missing:
        fresh = resolve_wire_ids(missing)
        found |= fresh
        # Only what is committed is remembered: this transaction may have made the entity and still fail.
        transaction.on_commit(lambda: _remember(tenant_id, fresh, at))
    return found


def _remember(tenant_id: UUID, fresh: dict[UUID, WireEntity], at: datetime) -> None:
    if len(_known) > _MAX:
        _known.clear()
    _known.update({(tenant_id, wire_id): (entity, at) for wire_id, entity in fresh.items()})
