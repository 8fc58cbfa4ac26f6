"""Cached resolution of the entity ids in batches: an agent sends the same few hundred ids every ten seconds."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.inventory.selectors import ResolvedEntity, resolve_wire_ids
from apps.tenancy.context import require_tenant_id

#: Deletions and merges of entities take effect within this time.
CACHE_LIFETIME = timedelta(seconds=15)
_MAX_CACHED = 500_000

_cached: dict[tuple[UUID, UUID], tuple[ResolvedEntity, datetime]] = {}


def resolve_entities(ids: Collection[UUID], *, at: datetime) -> dict[UUID, ResolvedEntity]:
    """The current tenant's entities by the id that agents send; unknown ids are absent. One query, none when all are
    cached."""
    tenant_id = require_tenant_id()
    result: dict[UUID, ResolvedEntity] = {}
    missing: set[UUID] = set()
    for wire_id in ids:
        entity, cached_at = _cached.get((tenant_id, wire_id), (None, at))
        if entity is not None and timedelta(0) <= at - cached_at < CACHE_LIFETIME:
            result[wire_id] = entity
        else:
            missing.add(wire_id)
    if missing:
        fresh = resolve_wire_ids(missing)
        result |= fresh
        # Cached after commit: this transaction may have created the entity and may still roll back.
        transaction.on_commit(lambda: _cache(tenant_id, fresh, at))
    return result


def _cache(tenant_id: UUID, fresh: dict[UUID, ResolvedEntity], at: datetime) -> None:
    if len(_cached) > _MAX_CACHED:
        _cached.clear()
    _cached.update({(tenant_id, wire_id): (entity, at) for wire_id, entity in fresh.items()})
