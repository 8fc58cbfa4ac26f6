"""Which items of a batch are accepted: by themselves, and by what its agent may speak for."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.agents.ownership import former_ends
from apps.agents.services import Foreign
from apps.ingest.entities import resolve_entities
from apps.ingest.scope import limits_of
from apps.ingest.validation import NOT_ASSIGNED, Items, Judge, Rejected, sort_out
from apps.ingest.wire import WireBatch, WireEvent, WireMetric
from apps.inventory.selectors import WireEntity

#: Stands for the metric where a patch spoke of a device.
PATCH = "inventory_patch"


@dataclass(frozen=True)
class Judged:
    """The accepted and the refused items of a batch."""

    metrics: Items[WireMetric]
    bad_metrics: list[Rejected]
    events: Items[WireEvent]
    bad_events: list[Rejected]

    @property
    def has_foreign(self) -> bool:
        """Whether something was refused because it is about what is not the agent's."""
        return any(row.code == NOT_ASSIGNED for row in (*self.bad_metrics, *self.bad_events))


def resolve_batch(agent_id: UUID, batch: WireBatch, at: datetime) -> dict[UUID, WireEntity]:
    """The entities that a batch speaks of, by wire id."""
    ids = {m.entity_id for m in batch.metrics} | {e.entity_id for e in batch.events}
    # An agent speaks of itself and of no other agent.
    return resolve_entities(ids - {agent_id}, at=at)


def judge_batch(
    agent_id: UUID, batch: WireBatch, entities: Mapping[UUID, WireEntity], at: datetime
) -> Judged:
    """Sort a batch's items. Nothing is refused as foreign before the database was asked afresh."""
    judged = _judge(agent_id, batch, entities, at, is_fresh=False)
    return _judge(agent_id, batch, entities, at, is_fresh=True) if judged.has_foreign else judged


def foreign_items(
    batch: WireBatch, judged: Judged, entities: Mapping[UUID, WireEntity]
) -> Iterator[Foreign]:
    """What was refused because it is about what is not the agent's."""
    for row in judged.bad_metrics:
        if row.code == NOT_ASSIGNED:
            metric = batch.metrics[row.index]
            value = metric.value_text if metric.value_num is None else metric.value_num
            yield Foreign(*entities[metric.entity_id].ref, metric.metric_name, metric.ts, value)
    for row in judged.bad_events:
        if row.code == NOT_ASSIGNED:
            event = batch.events[row.index]
            yield Foreign(*entities[event.entity_id].ref, event.event_type, event.ts)


def foreign_devices(agent_id: UUID, device_ids: Collection[UUID]) -> Iterator[Foreign]:
    """The devices of a patch that were never this agent's; those that were it may have found before."""
    if not device_ids:
        return
    known = {device_id for _, device_id in former_ends(agent_id, device_ids)}
    for device_id in sorted(set(device_ids) - known):
        yield Foreign("device", device_id, PATCH)


def _judge(
    agent_id: UUID,
    batch: WireBatch,
    entities: Mapping[UUID, WireEntity],
    at: datetime,
    *,
    is_fresh: bool,
) -> Judged:
    refs = {wire_id: entity.ref for wire_id, entity in entities.items()}
    refs[agent_id] = ("agent", agent_id)
    judge = Judge(at, refs, limits_of(agent_id, entities, at=at, is_fresh=is_fresh))
    metrics, bad_metrics = sort_out("metric", batch.metrics, judge.metric)
    events, bad_events = sort_out("event", batch.events, judge.event)
    return Judged(metrics, bad_metrics, events, bad_events)
