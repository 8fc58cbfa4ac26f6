"""Series ids: the number of each metric of each entity."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count

from apps.telemetry.models import Series
from apps.tenancy.context import require_tenant_id

#: Values of a dimension (profiles of a PPPoE service) that one entity may have; further ones are rejected.
MAX_DIMENSION_VALUES = 500


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """One metric of one entity, by the server's own entity id."""

    entity_type: str
    entity_id: UUID
    metric: str
    labels: str = ""


# (tenant, key) -> series id, per process. Only committed ids enter, so a rollback cannot leave a wrong one.
_cached: dict[tuple[UUID, SeriesKey], int] = {}
_MAX_CACHED = 1_000_000


def series_ids(keys: set[SeriesKey]) -> dict[SeriesKey, int]:
    """The ids of these series, created where they do not exist."""
    tenant_id = require_tenant_id()
    result = {key: _cached[tenant_id, key] for key in keys if (tenant_id, key) in _cached}
    missing = sorted(keys - result.keys(), key=_sort_key)
    if not missing:
        return result
    columns = [
        [key.metric for key in missing],
        [key.entity_type for key in missing],
        [str(key.entity_id) for key in missing],
        [key.labels for key in missing],
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_series (tenant_id, metric, entity_type, entity_id, labels)"
            " SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::uuid[], %s::text[])"
            " ON CONFLICT DO NOTHING",
            [tenant_id, *columns],
        )
        cursor.execute(
            "SELECT s.metric, s.entity_type, s.entity_id, s.labels, s.id FROM telemetry_series s"
            " JOIN unnest(%s::text[], %s::text[], %s::uuid[], %s::text[])"
            " AS k(metric, entity_type, entity_id, labels) USING (metric, entity_type, entity_id, labels)",
            columns,
        )
        for metric, entity_type, entity_id, labels, series_id in cursor.fetchall():
            result[SeriesKey(entity_type, entity_id, metric, labels)] = series_id
    transaction.on_commit(lambda: _cache_ids(tenant_id, {key: result[key] for key in missing}))
    return result


def over_dimension_limit(keys: Iterable[SeriesKey]) -> set[SeriesKey]:
    """The series that would exceed the limit of dimension values per entity. At most two queries, none when all are
    cached.

    Concurrent writers may exceed the limit by what each of them adds; it limits growth, not the exact number.
    """
    tenant_id = require_tenant_id()
    unknown = {key for key in keys if key.labels and (tenant_id, key) not in _cached}
    if not unknown:
        return set()
    entities = {key.entity_id for key in unknown}
    labeled = Series.objects.filter(entity_id__in=entities).exclude(labels="")
    counts: Counter[tuple[UUID, str]] = Counter()
    for entity_id, metric, number in labeled.values_list("entity_id", "metric").annotate(
        number=Count("id")
    ):
        counts[entity_id, metric] = number
    existing = set(
        labeled.filter(labels__in={key.labels for key in unknown}).values_list(
            "entity_id", "metric", "labels"
        )
    )
    rejected = set()
    for key in sorted(unknown, key=_sort_key):
        if (key.entity_id, key.metric, key.labels) in existing:
            continue
        counts[key.entity_id, key.metric] += 1
        if counts[key.entity_id, key.metric] > MAX_DIMENSION_VALUES:
            rejected.add(key)
    return rejected


def _sort_key(key: SeriesKey) -> tuple[str, str, UUID, str]:
    return key.metric, key.entity_type, key.entity_id, key.labels


def _cache_ids(tenant_id: UUID, ids: dict[SeriesKey, int]) -> None:
    if len(_cached) > _MAX_CACHED:
        _cached.clear()
    _cached.update({(tenant_id, key): series_id for key, series_id in ids.items()})
