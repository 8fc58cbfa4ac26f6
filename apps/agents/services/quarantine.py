"""Setting aside what an agent sent about entities that are not assigned to it."""

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
#: Nothing was quarantined for this long: it has stopped.
QUIET = timedelta(seconds=60)
#: Rows of one agent; what comes about further entities is refused and counted in the metrics alone.
MAX_ENTITIES = 1000
MAX_NAMES = 20
MAX_SAMPLES = 5
MAX_VALUE_CHARS = 200


@dataclass(frozen=True)
class Foreign:
    """One refused item: the entity, the metric or event type, and what it said."""

    entity_type: str
    entity_id: UUID
    name: str
    ts: datetime | None = None
    value: float | str | None = None


def quarantine_items(*, agent_id: UUID, items: Iterable[Foreign], at: datetime) -> None:
    """Count refused items by entity, keep the first few, and set the gauge that the alert rule reads.

    The first after a quiet minute is an event and an audit record. Locks: the agent's rows. Raises NotVisible.
    """
    by_entity: dict[tuple[str, UUID], list[Foreign]] = {}
    for item in items:
        by_entity.setdefault((item.entity_type, item.entity_id), []).append(item)
    if not by_entity:
        return
    began = not is_quarantining(agent_id, at)
    rows = QuarantinedEntity.objects.select_for_update().filter(
        agent_id=agent_id, entity_id__in=[entity_id for _, entity_id in by_entity]
    )
    known = {(row.entity_type, row.entity_id): row for row in rows.order_by("pk")}
    room = MAX_ENTITIES - QuarantinedEntity.objects.filter(agent_id=agent_id).count()
    new = [key for key in sorted(by_entity) if key not in known][: max(0, room)]
    for entity_type, entity_id in new:
        known[entity_type, entity_id] = QuarantinedEntity(
            agent_id=agent_id, entity_type=entity_type, entity_id=entity_id, first_seen_at=at
        )
    for key, row in known.items():
        _add(row, by_entity.get(key, []), at)
    # Two streams of one agent may meet here: the second's first count of an entity is lost, the alert is not.
    QuarantinedEntity.objects.bulk_create([known[key] for key in new], ignore_conflicts=True)
    old = [row for key, row in known.items() if key in by_entity and key not in set(new)]
    QuarantinedEntity.objects.bulk_update(old, ["names", "samples", "count", "last_seen_at"])
    if not new and not old:
        _touch_latest(agent_id, at)
    store.write_batch(
        samples=[Sample(SeriesKey("agent", agent_id, GAUGE), at, 1.0)], received_at=at
    )
    if began:
        _publish(agent_id, by_entity, at)


def is_quarantining(agent_id: UUID, at: datetime) -> bool:
    """Whether something of this agent was quarantined within the last minute. One query."""
    return QuarantinedEntity.objects.filter(agent_id=agent_id, last_seen_at__gt=at - QUIET).exists()


def _touch_latest(agent_id: UUID, at: datetime) -> None:
    """Note that quarantine goes on while all rows are taken by other entities, or each batch would be its first."""
    latest = QuarantinedEntity.objects.filter(agent_id=agent_id).order_by("-last_seen_at", "pk")
    QuarantinedEntity.objects.filter(pk__in=latest.values("pk")[:1]).update(last_seen_at=at)


def _add(row: QuarantinedEntity, items: list[Foreign], at: datetime) -> None:
    row.count += len(items)
    row.last_seen_at = at
    names = dict.fromkeys([*row.names, *(item.name for item in items)])
    row.names = list(names)[:MAX_NAMES]
    free = MAX_SAMPLES - len(row.samples)
    row.samples = [*row.samples, *map(_as_sample, items[: max(0, free)])]


def _as_sample(item: Foreign) -> dict[str, Any]:
    value = item.value[:MAX_VALUE_CHARS] if isinstance(item.value, str) else item.value
    return {
        "name": item.name,
        "ts": item.ts.isoformat() if item.ts else None,
        "value": value,
    }


def _publish(
    agent_id: UUID, by_entity: dict[tuple[str, UUID], list[Foreign]], at: datetime
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
