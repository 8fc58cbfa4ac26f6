"""Which items of a batch are accepted: valid ones about entities that are assigned to its agent."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.agents.ownership import former_assignment_ends
from apps.agents.services import UnassignedItem
from apps.ingest.authorization import allowances_of
from apps.ingest.entities import resolve_entities
from apps.ingest.schema import Batch, EventItem, MetricItem
from apps.ingest.validation import NOT_ASSIGNED, Items, ItemValidator, RejectedItem, partition_items
from apps.inventory.selectors import ResolvedEntity

#: In place of the metric name, where an inventory patch referred to a device.
PATCH = "inventory_patch"


@dataclass(frozen=True)
class ValidatedBatch:
    """The accepted and the rejected items of a batch."""

    metrics: Items[MetricItem]
    rejected_metrics: list[RejectedItem]
    events: Items[EventItem]
    rejected_events: list[RejectedItem]

    @property
    def has_unassigned(self) -> bool:
        """Whether an item was rejected because its entity is not assigned to the agent."""
        return any(
            row.code == NOT_ASSIGNED for row in (*self.rejected_metrics, *self.rejected_events)
        )


def resolve_batch(agent_id: UUID, batch: Batch, at: datetime) -> dict[UUID, ResolvedEntity]:
    """The entities that a batch refers to, by the id that agents send."""
    ids = {m.entity_id for m in batch.metrics} | {e.entity_id for e in batch.events}
    # An agent may report about itself, but not about another agent.
    return resolve_entities(ids - {agent_id}, at=at)


def validate_batch(
    agent_id: UUID, batch: Batch, entities: Mapping[UUID, ResolvedEntity], at: datetime
) -> ValidatedBatch:
    """Validate a batch's items. Nothing is rejected as not assigned by a stale cache."""
    validated = _validate(agent_id, batch, entities, at, is_fresh=False)
    if not validated.has_unassigned:
        return validated
    return _validate(agent_id, batch, entities, at, is_fresh=True)


def unassigned_items(
    batch: Batch, validated: ValidatedBatch, entities: Mapping[UUID, ResolvedEntity]
) -> Iterator[UnassignedItem]:
    """The items that were rejected because their entity is not assigned to the agent."""
    for row in validated.rejected_metrics:
        if row.code == NOT_ASSIGNED:
            metric = batch.metrics[row.index]
            value = metric.value_text if metric.value_num is None else metric.value_num
            yield UnassignedItem(
                *entities[metric.entity_id].ref, metric.metric_name, metric.ts, value
            )
    for row in validated.rejected_events:
        if row.code == NOT_ASSIGNED:
            event = batch.events[row.index]
            yield UnassignedItem(*entities[event.entity_id].ref, event.event_type, event.ts)


def unassigned_devices(agent_id: UUID, device_ids: Collection[UUID]) -> Iterator[UnassignedItem]:
    """The devices of a patch that were never assigned to this agent; it may have discovered others while they were."""
    if not device_ids:
        return
    known = {device_id for _, device_id in former_assignment_ends(agent_id, device_ids)}
    for device_id in sorted(set(device_ids) - known):
        yield UnassignedItem("device", device_id, PATCH)


def _validate(
    agent_id: UUID,
    batch: Batch,
    entities: Mapping[UUID, ResolvedEntity],
    at: datetime,
    *,
    is_fresh: bool,
) -> ValidatedBatch:
    refs = {wire_id: entity.ref for wire_id, entity in entities.items()}
    refs[agent_id] = ("agent", agent_id)
    validator = ItemValidator(at, refs, allowances_of(agent_id, entities, at=at, is_fresh=is_fresh))
    metrics, rejected_metrics = partition_items("metric", batch.metrics, validator.metric)
    events, rejected_events = partition_items("event", batch.events, validator.event)
    return ValidatedBatch(metrics, rejected_metrics, events, rejected_events)
