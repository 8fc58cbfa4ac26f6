"""From findings to batches: gathered for a moment, then one numbered batch on disk."""

import gzip
import json
import logging
import threading
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import uuid4

from agent.buffer.record import Dropped, Head
from agent.buffer.store import Buffer
from agent.protocol.batch import MAX_METRICS, SCHEMA_VERSION, Batch, InventoryPatch
from agent.samples import Findings, Happening, Sample, merge_patch, now, rfc3339
from agent.version import CAPABILITIES, VERSION

log = logging.getLogger(__name__)

MAX_EVENTS_PER_BATCH = 1_000
#: What may wait in memory while the disk refuses to take it.
MAX_WAITING = 200_000


@dataclass(frozen=True)
class _Taken:
    samples: list[Sample]
    events: list[Happening]
    patch: InventoryPatch


class Outbox:
    """Numbers batches within this start of the agent (``boot_id``). Safe for threads; one of them flushes."""

    def __init__(self, buffer: Buffer, *, agent_id: str, boot_id: str | None = None) -> None:
        self.boot_id = boot_id or str(uuid4())
        self.max_metrics = 5_000
        self._buffer = buffer
        self._agent_id = agent_id
        self._sequence = 0
        self._samples: deque[Sample] = deque()
        self._events: deque[Happening] = deque()
        self._patch: InventoryPatch = {}
        self._guard = threading.Lock()
        #: Set while something waits to be put into a batch.
        self.filled = threading.Event()

    def put(self, findings: Findings) -> None:
        """Hand over what a poll or probe round brought."""
        with self._guard:
            self._samples.extend(findings.samples)
            self._events.extend(findings.events)
            merge_patch(self._patch, findings.patch)
            overflow = len(self._samples) - MAX_WAITING
            for _ in range(overflow):
                self._samples.popleft()
            if self._samples or self._events or self._patch:
                self.filled.set()
        if overflow > 0:
            log.error("samples lost in memory", extra={"samples": overflow})

    def flush(self) -> int:
        """Put what waits into batches on disk; answers how many. Raises OSError, and then nothing is lost."""
        made = self._tell_of_ended_boots()
        while self.filled.is_set():
            taken = self._take()
            try:
                self._store(taken)
            except OSError:
                self._give_back(taken)
                raise
            made += 1
        return made

    def _take(self) -> _Taken:
        limit = min(self.max_metrics, MAX_METRICS)
        with self._guard:
            samples = list(islice(self._samples, limit))
            events = list(islice(self._events, MAX_EVENTS_PER_BATCH))
            for _ in samples:
                self._samples.popleft()
            for _ in events:
                self._events.popleft()
            patch, self._patch = self._patch, {}
            if not self._samples and not self._events:
                self.filled.clear()
        return _Taken(samples, events, patch)

    def _give_back(self, taken: _Taken) -> None:
        with self._guard:
            self._samples.extendleft(reversed(taken.samples))
            self._events.extendleft(reversed(taken.events))
            later, self._patch = self._patch, taken.patch
            merge_patch(self._patch, dict(later))  # type: ignore[arg-type]  # its sections are all lists
            self.filled.set()

    def _store(self, taken: _Taken) -> None:
        own = (lost for lost in self._buffer.lost() if lost.boot_id == self.boot_id)
        tombstone = next(own, None)
        batch = self._batch(self.boot_id, self._sequence + 1, taken, tombstone)
        self._append(batch, len(taken.samples) + len(taken.events), tombstone)
        self._sequence += 1

    def _tell_of_ended_boots(self) -> int:
        """Losses of earlier starts go out in batches of those starts, which get no others any more."""
        lost = [lost for lost in self._buffer.lost() if lost.boot_id != self.boot_id]
        for tombstone in lost:
            last = max(self._buffer.last_sequences.get(tombstone.boot_id, 0), tombstone.last)
            batch = self._batch(tombstone.boot_id, last + 1, _Taken([], [], {}), tombstone)
            self._append(batch, 0, tombstone)
        return len(lost)

    def _append(self, batch: Batch, samples: int, tombstone: Dropped | None) -> None:
        head = Head(
            batch["batch_id"], batch["boot_id"], batch["sequence"], samples, now(), tombstone
        )
        text = json.dumps(batch, separators=(",", ":"), ensure_ascii=True)
        self._buffer.append(head, gzip.compress(text.encode(), 5, mtime=0))

    def _batch(
        self, boot_id: str, sequence: int, taken: _Taken, tombstone: Dropped | None
    ) -> Batch:
        agent: dict[str, Any] = {
            "id": self._agent_id,
            "version": VERSION,
            "capabilities": list(CAPABILITIES),
        }
        batch: Batch = {
            "schema_version": SCHEMA_VERSION,
            "batch_id": str(uuid4()),
            "boot_id": boot_id,
            "sequence": sequence,
            "sent_at": rfc3339(now()),
            "agent": agent,
            "metrics": [sample.item() for sample in taken.samples],
            "events": [event.item() for event in taken.events],
        }
        if taken.patch:
            batch["inventory_patch"] = taken.patch
        if tombstone is not None:
            batch["dropped"] = {
                "from": tombstone.first,
                "to": tombstone.last,
                "samples": tombstone.samples,
            }
        return batch
