"""Quarantine of data that an agent sent about entities that are not assigned to it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from apps.agents.models import QuarantinedEntity
from apps.agents.selectors import get_agent
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.telemetry import store
from apps.telemetry.store import EventRow, Sample, SeriesKey

GAUGE = "agent.quarantine.active"
EVENT = "agent.data.quarantined"
#: After this long without quarantined data the state clears.
CLEAR_AFTER = timedelta(seconds=60)
#: Rows per agent; data about more entities is refused and only counted in the metrics.
MAX_ENTITIES = 1000
MAX_NAMES = 20
MAX_SAMPLES = 5
MAX_VALUE_CHARS = 200


@dataclass(frozen=True)
class UnassignedItem:
    """One refused item: the entity, the metric or event type, time and value."""

    entity_type: str
    entity_id: UUID
    name: str
    ts: datetime | None = None
    value: float | str | None = None


def quarantine_items(*, agent_id: UUID, items: Iterable[UnassignedItem], at: datetime) -> None:
    """Count refused items by entity, store the first few, and set the gauge that the alert rule uses.

    The first one in a minute writes an event and an audit record. Locks: the agent's rows. Raises NotVisible.
    """
    by_entity: dict[tuple[str, UUID], list[UnassignedItem]] = {}
    for item in items:
        by_entity.setdefault((item.entity_type, item.entity_id), []).append(item)
    if not by_entity:
        return
    is_first = not is_quarantining(agent_id, at)
    rows = QuarantinedEntity.objects.select_for_update().filter(
        agent_id=agent_id, entity_id__in=[entity_id for _, entity_id in by_entity]
    )
    rows_by_entity = {(row.entity_type, row.entity_id): row for row in rows.order_by("pk")}
    remaining = MAX_ENTITIES - QuarantinedEntity.objects.filter(agent_id=agent_id).count()
    new = [key for key in sorted(by_entity) if key not in rows_by_entity][: max(0, remaining)]
    for entity_type, entity_id in new:
        rows_by_entity[entity_type, entity_id] = QuarantinedEntity(
            agent_id=agent_id, entity_type=entity_type, entity_id=entity_id, first_seen_at=at
        )
    for key, row in rows_by_entity.items():
        _add_items(row, by_entity.get(key, []), at)
    # Concurrent requests of one agent: the second one's first count of an entity may be lost, the alert is not.
    QuarantinedEntity.objects.bulk_create(
        [rows_by_entity[key] for key in new], ignore_conflicts=True
    )
    existing = [
        row for key, row in rows_by_entity.items() if key in by_entity and key not in set(new)
    ]
    QuarantinedEntity.objects.bulk_update(existing, ["names", "samples", "count", "last_seen_at"])
    if not new and not existing:
        _touch_latest(agent_id, at)
    store.write_batch(
        samples=[Sample(SeriesKey("agent", agent_id, GAUGE), at, 1.0)], received_at=at
    )
    if is_first:
        _publish(agent_id, by_entity, at)


def is_quarantining(agent_id: UUID, at: datetime) -> bool:
    """Whether data of this agent was quarantined within the last minute. One query."""
    return QuarantinedEntity.objects.filter(
        agent_id=agent_id, last_seen_at__gt=at - CLEAR_AFTER
    ).exists()


def _touch_latest(agent_id: UUID, at: datetime) -> None:
    """Update the newest row when the row limit is reached; otherwise every batch would count as the first."""
    latest = QuarantinedEntity.objects.filter(agent_id=agent_id).order_by("-last_seen_at", "pk")
    QuarantinedEntity.objects.filter(pk__in=latest.values("pk")[:1]).update(last_seen_at=at)


def _add_items(row: QuarantinedEntity, items: list[UnassignedItem], at: datetime) -> None:
    row.count += len(items)
    row.last_seen_at = at
    names = dict.fromkeys([*row.names, *(item.name for item in items)])
    row.names = list(names)[:MAX_NAMES]
    remaining = MAX_SAMPLES - len(row.samples)
    row.samples = [*row.samples, *map(_as_sample, items[: max(0, remaining)])]


def _as_sample(item: UnassignedItem) -> dict[str, Any]:
    value = item.value[:MAX_VALUE_CHARS] if isinstance(item.value, str) else item.value
    return {
        "name": item.name,
        "ts": item.ts.isoformat() if item.ts else None,
        "value": value,
    }


def _publish(
    agent_id: UUID, by_entity: dict[tuple[str, UUID], list[UnassignedItem]], at: datetime
) -> None:
    agent = get_agent(agent_id)
    first = min(by_entity)
    detail = {
        "name": agent.name,
        "entities": len(by_entity),
        "first": {"type": first[0], "id": str(first[1])},
    }
    store.write_batch(
        events=[EventRow(uuid4(), at, EVENT, "warn", "agent", agent_id, detail)], received_at=at
    )
    record(
        action="agent.data_quarantined",
        actor=Actor.agent(agent.id, agent.name),
        entity=("agent", agent.id),
        at=at,
        detail=detail,
    )
