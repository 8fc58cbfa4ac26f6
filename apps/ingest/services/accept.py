"""Taking in a batch: everything acceptable and the stream's mark commit together, or nothing does."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.agents.services import AgentIdentity, accept_discovery
from apps.audit.services import record
from apps.ingest.errors import BatchChanged, BodyInvalid, IdentityMismatch
from apps.ingest.marks import Mark, Verdict
from apps.ingest.models import BatchReceipt, Stream
from apps.ingest.validation import Judge, Ref, Rejected, canonical_labels, sort_out
from apps.ingest.wire import WireBatch, WireEvent, WireMetric
from apps.inventory.selectors import resolve_wire_ids
from apps.telemetry import store
from apps.telemetry.store import EventRow, Sample, SeriesKey, TextSample
from apps.tenancy import acting_in


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
    *, identity: AgentIdentity, batch: WireBatch, body: bytes, at: datetime
) -> Accepted:
    """Store what is acceptable, once, whatever is retried, replayed or raced.

    Raises IdentityMismatch, BatchChanged (both audited), BodyInvalid for a sequence beyond the window.
    Idempotent: (agent, boot_id, sequence). Locks: the stream's row.
    """
    _check_identity(identity, batch, at)
    digest = hashlib.sha256(body).digest()
    try:
        with acting_in(identity.tenant_id):
            return _accept(identity, batch, digest, at)
    except BatchChanged:
        with acting_in(identity.tenant_id):
            record(
                action="ingest.batch_changed",
                actor=identity.actor,
                entity=("agent", identity.agent_id),
                at=at,
                detail={"batch_id": str(batch.batch_id), "sequence": batch.sequence},
            )
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


def _accept(identity: AgentIdentity, batch: WireBatch, digest: bytes, at: datetime) -> Accepted:
    stream = _lock_stream(identity.agent_id, batch.boot_id)
    mark = Mark(stream.high, frozenset(stream.ahead))
    verdict = mark.judge(batch.sequence)
    _refuse_changed(stream, batch, digest)
    if verdict is Verdict.DUPLICATE:
        return Accepted(batch.batch_id, is_duplicate=True)
    if batch.dropped:
        mark = mark.give_up(batch.dropped.first, batch.dropped.last)
        verdict = mark.judge(batch.sequence)
    if verdict is Verdict.TOO_FAR:
        raise BodyInvalid("sequence_too_far", "Send the batches before this one, or a tombstone.")
    accepted = _store(identity, batch, at)
    _move_mark(stream, mark.take(batch.sequence), batch, at)
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
    stream.high, stream.ahead = mark.high, sorted(mark.ahead)
    stream.samples_dropped += batch.dropped.samples if batch.dropped else 0
    stream.last_batch_at = at
    stream.save(update_fields=["high", "ahead", "samples_dropped", "last_batch_at"])


def _store(identity: AgentIdentity, batch: WireBatch, at: datetime) -> Accepted:
    rejected: list[Rejected] = []
    if batch.inventory_patch:
        outcome = accept_discovery(agent_id=identity.agent_id, patch=batch.inventory_patch, at=at)
        rejected += [Rejected(r.section, r.index, r.code, r.detail) for r in outcome.rejected]
    judge = Judge(at, _entities(identity, batch))
    metrics, bad_metrics = sort_out("metric", batch.metrics, judge.metric)
    events, bad_events = sort_out("event", batch.events, judge.event)
    known = store.stored_events((event.id, event.ts) for event, _ in events)
    fresh = [(event, ref) for event, ref in events if (event.id, event.ts) not in known]
    store.write_batch(
        samples=list(_samples(metrics)),
        texts=list(_texts(metrics)),
        events=[_event(event, ref) for event, ref in fresh],
        received_at=at,
    )
    repeated = [
        Rejected("event", index, "duplicate_event", "This event is stored already.")
        for index, event in enumerate(batch.events)
        if (event.id, event.ts) in known
    ]
    return Accepted(
        batch.batch_id,
        len(metrics),
        len(fresh),
        [*rejected, *bad_metrics, *sorted([*bad_events, *repeated], key=lambda r: r.index)],
    )


def _entities(identity: AgentIdentity, batch: WireBatch) -> dict[UUID, Ref]:
    ids = {m.entity_id for m in batch.metrics} | {e.entity_id for e in batch.events}
    found: dict[UUID, Ref] = dict(resolve_wire_ids(ids))
    # An agent speaks of itself and of no other agent.
    found[identity.agent_id] = ("agent", identity.agent_id)
    return found


def _samples(metrics: Iterable[tuple[WireMetric, Ref]]) -> Iterable[Sample]:
    for item, ref in metrics:
        if item.value_num is not None:
            yield Sample(_key(item, ref), item.ts, item.value_num)


def _texts(metrics: Iterable[tuple[WireMetric, Ref]]) -> Iterable[TextSample]:
    for item, ref in metrics:
        if item.value_text is not None:
            yield TextSample(_key(item, ref), item.ts, item.value_text)


def _key(item: WireMetric, ref: Ref) -> SeriesKey:
    return SeriesKey(ref[0], ref[1], item.metric_name, canonical_labels(item.labels))


def _event(item: WireEvent, ref: Ref) -> EventRow:
    return EventRow(
        item.id, item.ts, item.event_type, item.severity, *ref, dict(item.payload), item.raw or ""
    )
