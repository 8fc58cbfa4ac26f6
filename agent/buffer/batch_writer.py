"""Collects results in memory and writes them to the disk buffer as numbered batches."""

import gzip
import json
import logging
import threading
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import uuid4

from agent.buffer.record import BatchHeader, DroppedRange
from agent.buffer.store import Buffer
from agent.protocol.batch import MAX_METRICS, SCHEMA_VERSION, Batch, InventoryPatch
from agent.samples import Event, PollResult, Sample, host_clock_offset, merge_patch, now, rfc3339
from agent.version import CAPABILITIES, VERSION

log = logging.getLogger(__name__)

MAX_EVENTS_PER_BATCH = 1_000
#: Samples held in memory while the disk cannot be written.
MAX_PENDING_SAMPLES = 200_000


@dataclass(frozen=True)
class _BatchContent:
    samples: list[Sample]
    events: list[Event]
    patch: InventoryPatch


class BatchWriter:
    """Numbers batches within this start of the agent (``boot_id``). Thread-safe; only one thread may flush."""

    def __init__(self, buffer: Buffer, *, agent_id: str, boot_id: str | None = None) -> None:
        self.boot_id = boot_id or str(uuid4())
        self.max_metrics = 5_000
        self._buffer = buffer
        self._agent_id = agent_id
        self._sequence = 0
        self._samples: deque[Sample] = deque()
        self._events: deque[Event] = deque()
        self._patch: InventoryPatch = {}
        self._lock = threading.Lock()
        #: Set while something is not yet part of a batch.
        self.has_pending = threading.Event()

    def put(self, result: PollResult) -> None:
        """Add the result of a poll or a probe round."""
        with self._lock:
            self._samples.extend(result.samples)
            self._events.extend(result.events)
            merge_patch(self._patch, result.patch)
            overflow = len(self._samples) - MAX_PENDING_SAMPLES
            for _ in range(overflow):
                self._samples.popleft()
            if self._samples or self._events or self._patch:
                self.has_pending.set()
        if overflow > 0:
            log.error("samples_dropped_in_memory", extra={"samples": overflow})

    def flush(self) -> int:
        """Write pending data to disk as batches; returns their number. Raises OSError; then the data stays pending."""
        batch_count = self._report_drops_of_previous_boots()
        while self.has_pending.is_set():
            content = self._pop_pending()
            try:
                self._store(content)
            except OSError:
                self._restore_pending(content)
                raise
            batch_count += 1
        return batch_count

    def _pop_pending(self) -> _BatchContent:
        limit = min(self.max_metrics, MAX_METRICS)
        with self._lock:
            samples = list(islice(self._samples, limit))
            events = list(islice(self._events, MAX_EVENTS_PER_BATCH))
            for _ in samples:
                self._samples.popleft()
            for _ in events:
                self._events.popleft()
            patch, self._patch = self._patch, {}
            if not self._samples and not self._events:
                self.has_pending.clear()
        return _BatchContent(samples, events, patch)

    def _restore_pending(self, content: _BatchContent) -> None:
        with self._lock:
            self._samples.extendleft(reversed(content.samples))
            self._events.extendleft(reversed(content.events))
            later, self._patch = self._patch, content.patch
            merge_patch(self._patch, dict(later))  # type: ignore[arg-type]  # its sections are all lists
            self.has_pending.set()

    def _store(self, content: _BatchContent) -> None:
        of_this_boot = (
            dropped for dropped in self._buffer.dropped_ranges() if dropped.boot_id == self.boot_id
        )
        tombstone = next(of_this_boot, None)
        batch = self._batch(self.boot_id, self._sequence + 1, content, tombstone)
        self._append(batch, len(content.samples) + len(content.events), tombstone)
        self._sequence += 1

    def _report_drops_of_previous_boots(self) -> int:
        """Ranges dropped by a previous boot are reported in batches of that boot, which gets no other batches."""
        of_previous_boots = [
            dropped for dropped in self._buffer.dropped_ranges() if dropped.boot_id != self.boot_id
        ]
        for tombstone in of_previous_boots:
            last = max(self._buffer.last_sequences.get(tombstone.boot_id, 0), tombstone.last)
            batch = self._batch(tombstone.boot_id, last + 1, _BatchContent([], [], {}), tombstone)
            self._append(batch, 0, tombstone)
        return len(of_previous_boots)

    def _append(self, batch: Batch, samples: int, tombstone: DroppedRange | None) -> None:
        header = BatchHeader(
            batch["batch_id"], batch["boot_id"], batch["sequence"], samples, now(), tombstone
        )
        text = json.dumps(batch, separators=(",", ":"), ensure_ascii=True)
        self._buffer.append(header, gzip.compress(text.encode(), 5, mtime=0))

    def _batch(
        self, boot_id: str, sequence: int, content: _BatchContent, tombstone: DroppedRange | None
    ) -> Batch:
        agent: dict[str, Any] = {
            "id": self._agent_id,
            "version": VERSION,
            "capabilities": list(CAPABILITIES),
        }
        offset = host_clock_offset()
        batch: Batch = {
            "schema_version": SCHEMA_VERSION,
            "batch_id": str(uuid4()),
            "boot_id": boot_id,
            "sequence": sequence,
            "sent_at": rfc3339(now() + offset),
            "agent": agent,
            "metrics": [sample.item(offset) for sample in content.samples],
            "events": [event.item(offset) for event in content.events],
        }
        if content.patch:
            batch["inventory_patch"] = content.patch
        if tombstone is not None:
            batch["dropped"] = {
                "from": tombstone.first,
                "to": tombstone.last,
                "samples": tombstone.samples,
            }
        return batch
