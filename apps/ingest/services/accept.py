"""Accept a batch: its valid items and the stream's watermark are committed together, or not at all."""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import IntegrityError

from apps.agents.services import (
    AgentIdentity,
    UnassignedItem,
    apply_agent_discovery,
    quarantine_items,
    record_conflict,
)
from apps.audit.services import record
from apps.ingest.clock_skew import KnownSkew, corrected, skew_of_batch
from apps.ingest.errors import BatchChanged, BodyInvalid, IdentityMismatch
from apps.ingest.models import BatchReceipt, Stream
from apps.ingest.schema import Batch, EventItem, MetricItem
from apps.ingest.services.validate import (
    resolve_batch,
    unassigned_devices,
    unassigned_items,
    validate_batch,
)
from apps.ingest.validation import Items, Ref, RejectedItem, series_labels
from apps.ingest.watermarks import SequenceStatus, Watermark
from apps.telemetry import store
from apps.telemetry.series import MAX_DIMENSION_VALUES, over_dimension_limit
from apps.telemetry.store import EventKey, EventRow, Sample, SeriesKey, TextSample
from apps.tenancy import acting_in

MAX_BIGINT = 2**63 - 1


@dataclass(frozen=True)
class AcceptedBatch:
    """The response to a batch."""

    batch_id: UUID
    metrics: int = 0
    events: int = 0
    rejected: list[RejectedItem] = field(default_factory=list)
    is_duplicate: bool = False
    #: The agent's clock minus the server's, as subtracted from the times of the items.
    clock_skew: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "batch_id": str(self.batch_id),
            "accepted": {"metrics": self.metrics, "events": self.events},
            "rejected": msgspec.to_builtins(self.rejected),
            "duplicate": self.is_duplicate,
            "clock_skew_seconds": round(self.clock_skew, 3),
        }


def accept_batch(
    *,
    identity: AgentIdentity,
    batch: Batch,
    body: bytes,
    at: datetime,
    buffered_for: timedelta | None = None,
) -> AcceptedBatch:
    """Store the valid items exactly once, however often the batch is retried, replayed or sent concurrently.

    A batch that was buffered for long on the agent is about the past: its samples are marked late and fire nothing.
    ``buffered_for`` is None where the agent does not report it. Times are corrected by the skew of the agent's clock.

    Raises IdentityMismatch, BatchChanged (both audited), BodyInvalid for a sequence beyond the window.
    Idempotent: (agent, boot_id, sequence). Locks: the stream's row.
    """
    _check_identity(identity, batch, at)
    digest = hashlib.sha256(body).digest()
    try:
        try:
            return _accept(identity, batch, digest, at, buffered_for=buffered_for)
        except IntegrityError:
            # The same batch id was accepted over another stream at the same time; its receipt is visible now.
            return _accept(identity, batch, digest, at, buffered_for=buffered_for)
    except BatchChanged:
        with acting_in(identity.tenant_id):
            record(
                action="ingest.batch_changed",
                actor=identity.actor,
                entity=("agent", identity.agent_id),
                at=at,
                detail={"batch_id": str(batch.batch_id), "sequence": batch.sequence},
            )
            # A copied buffer continues with other content under sequences that are used already.
            record_conflict(agent_id=identity.agent_id, how="batch", at=at)
        raise


def _check_identity(identity: AgentIdentity, batch: Batch, at: datetime) -> None:
    claimed_tenants = {batch.tenant_id, batch.agent.tenant_id} - {None}
    if batch.agent.id == identity.agent_id and claimed_tenants <= {identity.tenant_id}:
        return
    with acting_in(identity.tenant_id):
        record(
            action="ingest.identity_mismatch",
            actor=identity.actor,
            entity=("agent", identity.agent_id),
            at=at,
            detail={"claimed_agent": str(batch.agent.id)},
        )
    raise IdentityMismatch(message="The body names another agent or tenant than the certificate.")


def _accept(
    identity: AgentIdentity,
    batch: Batch,
    digest: bytes,
    at: datetime,
    *,
    buffered_for: timedelta | None,
) -> AcceptedBatch:
    with acting_in(identity.tenant_id):
        stream = _lock_stream(identity.agent_id, batch.boot_id)
        _reject_changed(stream, batch, digest)
        watermark = _next_watermark(stream, batch)
        if watermark is None:
            return AcceptedBatch(batch.batch_id, is_duplicate=True)
        skew = skew_of_batch(
            sent_at=batch.sent_at,
            buffered_for=buffered_for,
            at=at,
            known=_known_skew(stream),
        )
        accepted = _store(
            identity,
            corrected(batch, skew, at),
            at,
            is_late=buffered_for is not None and buffered_for > store.LATE_AFTER,
        )
        accepted = replace(accepted, clock_skew=skew)
        stream.clock_skew_seconds = skew
        _save_watermark(stream, watermark, batch, at)
        BatchReceipt.objects.create(
            stream=stream,
            batch_id=batch.batch_id,
            sequence=batch.sequence,
            digest=digest,
            received_at=at,
            metrics=accepted.metrics,
            events=accepted.events,
            rejected=len(accepted.rejected),
            clock_skew_seconds=skew,
        )
    return accepted


def _known_skew(stream: Stream) -> KnownSkew:
    """What the heartbeats and the last batch of this boot say of its clock."""
    agent = stream.agent
    return KnownSkew(
        by_heartbeat=agent.clock_skew_seconds if agent.boot_id == stream.boot_id else None,
        applied=stream.clock_skew_seconds,
        is_former_boot=str(stream.boot_id) in agent.previous_boots,
    )


def _next_watermark(stream: Stream, batch: Batch) -> Watermark | None:
    """The watermark with this batch accepted; None when it was accepted before."""
    watermark = Watermark(stream.high, frozenset(stream.ahead), stream.sequences_skipped)
    if watermark.classify(batch.sequence) is SequenceStatus.DUPLICATE:
        return None
    dropped = batch.dropped
    if dropped:
        if watermark.classify(dropped.last) is SequenceStatus.TOO_FAR:
            raise BodyInvalid("sequence_too_far", "The tombstone ends far beyond this stream.")
        watermark = watermark.skip(dropped.first, dropped.last)
    if watermark.classify(batch.sequence) is SequenceStatus.TOO_FAR:
        raise BodyInvalid("sequence_too_far", "This sequence is far beyond this stream.")
    return watermark.accept(batch.sequence)


def _lock_stream(agent_id: UUID, boot_id: UUID) -> Stream:
    Stream.objects.bulk_create([Stream(agent_id=agent_id, boot_id=boot_id)], ignore_conflicts=True)
    streams = Stream.objects.select_for_update(of=("self",)).select_related("agent")
    return streams.get(agent_id=agent_id, boot_id=boot_id)


def _reject_changed(stream: Stream, batch: Batch, digest: bytes) -> None:
    by_id = BatchReceipt.objects.filter(batch_id=batch.batch_id)
    by_sequence = BatchReceipt.objects.filter(stream=stream, sequence=batch.sequence)
    for known in by_id.union(by_sequence):
        is_same_sequence = known.stream_id == stream.id and known.sequence == batch.sequence
        if (
            bytes(known.digest) != digest
            or known.batch_id != batch.batch_id
            or not is_same_sequence
        ):
            raise BatchChanged(message="This batch id or sequence was used with other content.")


def _save_watermark(stream: Stream, watermark: Watermark, batch: Batch, at: datetime) -> None:
    lost = batch.dropped.samples if batch.dropped else 0
    stream.high, stream.ahead = watermark.high, sorted(watermark.ahead)
    stream.sequences_skipped = watermark.skipped
    stream.samples_dropped = min(stream.samples_dropped + lost, MAX_BIGINT)
    stream.last_batch_at = at
    stream.save(
        update_fields=[
            "high",
            "ahead",
            "sequences_skipped",
            "samples_dropped",
            "last_batch_at",
            "clock_skew_seconds",
        ]
    )


def _store(identity: AgentIdentity, batch: Batch, at: datetime, *, is_late: bool) -> AcceptedBatch:
    rejected: list[RejectedItem] = []
    unassigned: list[UnassignedItem] = []
    if batch.inventory_patch:
        outcome = apply_agent_discovery(
            agent_id=identity.agent_id, patch=batch.inventory_patch, at=at
        )
        rejected += [RejectedItem(r.section, r.index, r.code, r.detail) for r in outcome.rejected]
        unassigned += unassigned_devices(identity.agent_id, outcome.not_assigned)
    entities = resolve_batch(identity.agent_id, batch, at)
    validated = validate_batch(identity.agent_id, batch, entities, at)
    metrics, over_limit = _within_dimensions(validated.metrics)
    events, rejected_metrics, rejected_events = (
        validated.events,
        validated.rejected_metrics,
        validated.rejected_events,
    )
    quarantine_items(
        agent_id=identity.agent_id,
        items=[*unassigned, *unassigned_items(batch, validated, entities)],
        at=at,
    )
    written = store.write_batch(
        samples=list(_samples(metrics)),
        texts=list(_texts(metrics)),
        events=[_event(event, ref) for _, event, ref in events],
        received_at=at,
        is_late=is_late,
    )
    duplicates = _duplicate_events(events, written.new_events)
    return AcceptedBatch(
        batch.batch_id,
        len(metrics),
        written.events,
        [
            *rejected,
            *sorted([*rejected_metrics, *over_limit], key=_index),
            *sorted([*rejected_events, *duplicates], key=_index),
        ],
    )


def _within_dimensions(metrics: Items[MetricItem]) -> tuple[Items[MetricItem], list[RejectedItem]]:
    """Split off the samples that would give an entity too many series of one metric."""
    refused = over_dimension_limit(_key(item, ref) for _, item, ref in metrics)
    if not refused:
        return metrics, []
    accepted, over_limit = [], []
    for index, item, ref in metrics:
        if _key(item, ref) in refused:
            text = f"At most {MAX_DIMENSION_VALUES} values of this label per entity."
            over_limit.append(RejectedItem("metric", index, "labels_too_large", text))
        else:
            accepted.append((index, item, ref))
    return accepted, over_limit


def _duplicate_events(events: Items[EventItem], new: Collection[EventKey]) -> list[RejectedItem]:
    """The events that were stored before, or that occur twice in this batch."""
    remaining = set(new)
    duplicates = []
    for index, event, _ in events:
        if (event.id, event.ts) in remaining:
            remaining.remove((event.id, event.ts))
        else:
            text = "This event was stored before."
            duplicates.append(RejectedItem("event", index, "duplicate_event", text))
    return duplicates


def _index(rejected: RejectedItem) -> int:
    return rejected.index


def _samples(metrics: Items[MetricItem]) -> Iterable[Sample]:
    for _, item, ref in metrics:
        if item.value_num is not None:
            yield Sample(_key(item, ref), item.ts, item.value_num)


def _texts(metrics: Items[MetricItem]) -> Iterable[TextSample]:
    for _, item, ref in metrics:
        if item.value_text is not None:
            yield TextSample(_key(item, ref), item.ts, item.value_text)


def _key(item: MetricItem, ref: Ref) -> SeriesKey:
    return SeriesKey(ref[0], ref[1], item.metric_name, series_labels(item))


def _event(item: EventItem, ref: Ref) -> EventRow:
    return EventRow(
        item.id, item.ts, item.event_type, item.severity, *ref, dict(item.payload), item.raw or ""
    )
