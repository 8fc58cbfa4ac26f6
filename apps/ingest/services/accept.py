"""Taking in a batch: everything acceptable and the stream's mark commit together, or nothing does."""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from apps.agents.services import (
    AgentIdentity,
    Foreign,
    accept_discovery,
    note_conflict,
    quarantine_items,
)
from apps.audit.services import record
from apps.ingest.errors import BatchChanged, BodyInvalid, IdentityMismatch
from apps.ingest.marks import Mark, Verdict
from apps.ingest.models import BatchReceipt, Stream
from apps.ingest.services.judging import (
    foreign_devices,
    foreign_items,
    judge_batch,
    resolve_batch,
)
from apps.ingest.validation import Items, Ref, Rejected, series_labels
from apps.ingest.wire import WireBatch, WireEvent, WireMetric
from apps.telemetry import store
from apps.telemetry.series import MAX_DIMENSION_VALUES, without_room
from apps.telemetry.store import EventKey, EventRow, Sample, SeriesKey, TextSample
from apps.tenancy import acting_in

_BIGGEST = 2**63 - 1


@dataclass(frozen=True)
class Accepted:
    """The answer to a batch."""

    batch_id: UUID
    metrics: int = 0
    events: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    is_duplicate: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {
            "batch_id": str(self.batch_id),
            "accepted": {"metrics": self.metrics, "events": self.events},
            "rejected": [rejected.as_dict() for rejected in self.rejected],
            "duplicate": self.is_duplicate,
        }


def accept_batch(
    *,
    identity: AgentIdentity,
    batch: WireBatch,
    body: bytes,
    at: datetime,
    waited: timedelta = timedelta(0),
) -> Accepted:
    """Store what is acceptable, once, whatever is retried, replayed or raced.

    A batch that ``waited`` long on its agent tells of the past: it is stored as such, and fires nothing.

    Raises IdentityMismatch, BatchChanged (both audited), BodyInvalid for a sequence beyond the window.
    Idempotent: (agent, boot_id, sequence). Locks: the stream's row.
    """
    _check_identity(identity, batch, at)
    digest = hashlib.sha256(body).digest()
    try:
        try:
            return _accept(identity, batch, digest, at, waited=waited)
        except IntegrityError:
            # The same batch id came in over another stream at the same moment; by now its receipt can be seen.
            return _accept(identity, batch, digest, at, waited=waited)
    except BatchChanged:
        with acting_in(identity.tenant_id):
            record(
                action="ingest.batch_changed",
                actor=identity.actor,
                entity=("agent", identity.agent_id),
                at=at,
                detail={"batch_id": str(batch.batch_id), "sequence": batch.sequence},
            )
            # A buffer that was copied goes on differently under numbers that are used.
            note_conflict(agent_id=identity.agent_id, how="batch", at=at)
        raise


def _check_identity(identity: AgentIdentity, batch: WireBatch, at: datetime) -> None:
    said_tenants = {batch.tenant_id, batch.agent.tenant_id} - {None}
    if batch.agent.id == identity.agent_id and said_tenants <= {identity.tenant_id}:
        return
    with acting_in(identity.tenant_id):
        record(
            action="ingest.identity_mismatch",
            actor=identity.actor,
            entity=("agent", identity.agent_id),
            at=at,
            detail={"said_agent": str(batch.agent.id)},
        )
    raise IdentityMismatch(message="The body names another agent or tenant than the certificate.")


def _accept(
    identity: AgentIdentity, batch: WireBatch, digest: bytes, at: datetime, *, waited: timedelta
) -> Accepted:
    with acting_in(identity.tenant_id):
        stream = _lock_stream(identity.agent_id, batch.boot_id)
        _refuse_changed(stream, batch, digest)
        mark = _next_mark(stream, batch)
        if mark is None:
            return Accepted(batch.batch_id, is_duplicate=True)
        accepted = _store(identity, batch, at, is_late=waited > store.LATE_AFTER)
        _move_mark(stream, mark, batch, at)
        BatchReceipt.objects.create(
            stream=stream,
            batch_id=batch.batch_id,
            sequence=batch.sequence,
            digest=digest,
            received_at=at,
            metrics=accepted.metrics,
            events=accepted.events,
            rejected=len(accepted.rejected),
        )
    return accepted


def _next_mark(stream: Stream, batch: WireBatch) -> Mark | None:
    """The mark with this batch taken in; None when it was before."""
    mark = Mark(stream.high, frozenset(stream.ahead), stream.sequences_skipped)
    if mark.judge(batch.sequence) is Verdict.DUPLICATE:
        return None
    dropped = batch.dropped
    if dropped:
        if mark.judge(dropped.last) is Verdict.TOO_FAR:
            raise BodyInvalid("sequence_too_far", "The tombstone ends far beyond this stream.")
        mark = mark.give_up(dropped.first, dropped.last)
    if mark.judge(batch.sequence) is Verdict.TOO_FAR:
        raise BodyInvalid("sequence_too_far", "This sequence is far beyond this stream.")
    return mark.take(batch.sequence)


def _lock_stream(agent_id: UUID, boot_id: UUID) -> Stream:
    Stream.objects.bulk_create([Stream(agent_id=agent_id, boot_id=boot_id)], ignore_conflicts=True)
    return Stream.objects.select_for_update().get(agent_id=agent_id, boot_id=boot_id)


def _refuse_changed(stream: Stream, batch: WireBatch, digest: bytes) -> None:
    by_id = BatchReceipt.objects.filter(batch_id=batch.batch_id)
    by_place = BatchReceipt.objects.filter(stream=stream, sequence=batch.sequence)
    for known in by_id.union(by_place):
        same_place = known.stream_id == stream.id and known.sequence == batch.sequence
        if bytes(known.digest) != digest or known.batch_id != batch.batch_id or not same_place:
            raise BatchChanged(message="This batch id or sequence was used with other content.")


def _move_mark(stream: Stream, mark: Mark, batch: WireBatch, at: datetime) -> None:
    lost = batch.dropped.samples if batch.dropped else 0
    stream.high, stream.ahead = mark.high, sorted(mark.ahead)
    stream.sequences_skipped = mark.skipped
    stream.samples_dropped = min(stream.samples_dropped + lost, _BIGGEST)
    stream.last_batch_at = at
    stream.save(
        update_fields=["high", "ahead", "sequences_skipped", "samples_dropped", "last_batch_at"]
    )


def _store(identity: AgentIdentity, batch: WireBatch, at: datetime, *, is_late: bool) -> Accepted:
    rejected: list[Rejected] = []
    foreign: list[Foreign] = []
    if batch.inventory_patch:
        outcome = accept_discovery(agent_id=identity.agent_id, patch=batch.inventory_patch, at=at)
        rejected += [Rejected(r.section, r.index, r.code, r.detail) for r in outcome.rejected]
        foreign += foreign_devices(identity.agent_id, outcome.not_assigned)
    entities = resolve_batch(identity.agent_id, batch, at)
    judged = judge_batch(identity.agent_id, batch, entities, at)
    metrics, crowded = _within_dimensions(judged.metrics)
    events, bad_metrics, bad_events = judged.events, judged.bad_metrics, judged.bad_events
    quarantine_items(
        agent_id=identity.agent_id, items=[*foreign, *foreign_items(batch, judged, entities)], at=at
    )
    written = store.write_batch(
        samples=list(_samples(metrics)),
        texts=list(_texts(metrics)),
        events=[_event(event, ref) for _, event, ref in events],
        received_at=at,
        is_late=is_late,
    )
    repeated = _repeated(events, written.new_events)
    return Accepted(
        batch.batch_id,
        len(metrics),
        written.events,
        [
            *rejected,
            *sorted([*bad_metrics, *crowded], key=_index),
            *sorted([*bad_events, *repeated], key=_index),
        ],
    )


def _within_dimensions(metrics: Items[WireMetric]) -> tuple[Items[WireMetric], list[Rejected]]:
    """Without the samples that would give an entity too many series of one metric."""
    refused = without_room(_key(item, ref) for _, item, ref in metrics)
    if not refused:
        return metrics, []
    kept, crowded = [], []
    for index, item, ref in metrics:
        if _key(item, ref) in refused:
            text = f"At most {MAX_DIMENSION_VALUES} values of this label per entity."
            crowded.append(Rejected("metric", index, "labels_too_large", text))
        else:
            kept.append((index, item, ref))
    return kept, crowded


def _repeated(events: Items[WireEvent], new: Collection[EventKey]) -> list[Rejected]:
    """The events that were stored before, or come twice in this batch."""
    left = set(new)
    repeated = []
    for index, event, _ in events:
        if (event.id, event.ts) in left:
            left.remove((event.id, event.ts))
        else:
            text = "This event is stored already."
            repeated.append(Rejected("event", index, "duplicate_event", text))
    return repeated


def _index(rejected: Rejected) -> int:
    return rejected.index


def _samples(metrics: Items[WireMetric]) -> Iterable[Sample]:
    for _, item, ref in metrics:
        if item.value_num is not None:
            yield Sample(_key(item, ref), item.ts, item.value_num)


def _texts(metrics: Items[WireMetric]) -> Iterable[TextSample]:
    for _, item, ref in metrics:
        if item.value_text is not None:
            yield TextSample(_key(item, ref), item.ts, item.value_text)


def _key(item: WireMetric, ref: Ref) -> SeriesKey:
    return SeriesKey(ref[0], ref[1], item.metric_name, series_labels(item))


def _event(item: WireEvent, ref: Ref) -> EventRow:
    return EventRow(
        item.id, item.ts, item.event_type, item.severity, *ref, dict(item.payload), item.raw or ""
    )
