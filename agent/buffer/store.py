"""The disk buffer: a queue of batches in segment files that survives kill -9 at any byte.

A batch is on disk, synced, before it is sent, and is removed only when the server has acknowledged it. When the size
limit is reached, or the disk is full, the oldest segment is dropped; its sequence range is kept in a file until a batch
with the tombstone is on disk.
"""

import errno
import json
import logging
import os
import threading
from collections import deque
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from agent.buffer.record import (
    BatchHeader,
    DroppedRange,
    RecordLocation,
    encode,
    merge_ranges,
    ranges_of,
    scan,
)
from agent.state import sync_folder

log = logging.getLogger(__name__)

MAX_BYTES = 256 * 2**20
SEGMENT_BYTES = 2**20
MAX_QUARANTINED = 100
#: Released on a full disk, so that the range that is about to be dropped can be saved.
RESERVE_BYTES = 2**14
DISK_FULL_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class StoredBatch:
    """A batch on disk; ``body`` holds the gzipped bytes, the same on every retry."""

    header: BatchHeader
    body: bytes


@dataclass(eq=False)
class _Segment:
    """A file of records. ``pending`` are those that the server has not acknowledged."""

    number: int
    path: Path
    size: int
    pending: deque[RecordLocation]


class Buffer:
    """A queue of batches in the order of their creation, of this boot and earlier ones. Thread-safe."""

    def __init__(
        self, folder: Path, *, max_bytes: int = MAX_BYTES, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._folder = folder
        self.max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._lock = threading.RLock()
        self._segments: deque[_Segment] = deque()
        self._active_segment: _Segment | None = None
        self._next_number = 1
        self._dropped_ranges: list[DroppedRange] = []
        #: The highest sequence on disk of each boot; a tombstone of a previous boot gets the next one.
        self.last_sequences: dict[str, int] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open()

    @property
    def depth(self) -> int:
        """Number of batches that the server has not acknowledged."""
        with self._lock:
            return sum(len(segment.pending) for segment in self._segments)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        with self._lock:
            return sum(segment.size for segment in self._segments)

    def age(self, at: float) -> float:
        """Age of the oldest pending batch in seconds."""
        with self._lock:
            oldest = self._oldest()
            return max(0.0, at - oldest.pending[0].header.created_at) if oldest else 0.0

    def dropped_ranges(self) -> list[DroppedRange]:
        """Dropped ranges that no batch on disk reports yet."""
        with self._lock:
            return list(self._dropped_ranges)

    def append(self, header: BatchHeader, body: bytes) -> None:
        """Write a batch to disk, synced. Raises OSError; then the batch is not stored."""
        record = encode(header, body)
        with self._lock:
            self._make_room(len(record), header.tombstone)
            segment = self._store(record, header.tombstone)
            location = RecordLocation(header, segment.size - len(body), len(body), segment.size)
            segment.pending.append(location)
            self._record_sequence(header)
            if header.tombstone in self._dropped_ranges:
                self._clear_dropped_range(header.tombstone)

    def peek(self) -> StoredBatch | None:
        """The oldest batch; it stays in the queue until ``acknowledge``."""
        with self._lock:
            while (segment := self._oldest()) is not None:
                location = segment.pending[0]
                try:
                    with segment.path.open("rb") as file:
                        file.seek(location.body_offset)
                        return StoredBatch(location.header, file.read(location.body_length))
                except FileNotFoundError:
                    self._discard_missing_segment(segment)
            return None

    def acknowledge(self, header: BatchHeader) -> None:
        """Remove this batch: the server has stored or permanently refused it. Idempotent."""
        with self._lock:
            segment = self._oldest()
            if segment is None or segment.pending[0].header != header:
                return
            location = segment.pending.popleft()
            if segment.pending or segment is self._segments[-1]:
                self._save_read_offset(segment.number, location.end)
            else:
                self._remove(segment)

    def quarantine(self, stored: StoredBatch, reason: str) -> None:
        """Move a batch that the server permanently refuses to the quarantine folder, for inspection."""
        folder = self._folder / "quarantine"
        folder.mkdir(mode=0o700, exist_ok=True)
        existing = sorted(folder.glob("*.json.gz"), key=lambda path: path.stat().st_mtime)
        for path in existing[: max(0, len(existing) - MAX_QUARANTINED + 1)]:
            path.unlink(missing_ok=True)
        path = folder / f"{stored.header.sequence:012d}-{stored.header.batch_id}-{reason}.json.gz"
        try:
            path.write_bytes(stored.body)
        except OSError as error:
            if error.errno not in DISK_FULL_ERRORS:
                raise
            path.unlink(missing_ok=True)
            log.error("quarantine_disk_full", extra={"batch": path.name})  # noqa: TRY400  # known
        self.acknowledge(stored.header)

    def _open(self) -> None:
        self._dropped_ranges = [
            DroppedRange(*row) for row in _read_json(self._folder / "dropped.json", [])
        ]
        read_number, read_offset = _read_json(self._folder / "read_offset.json", [0, 0])
        for path in sorted(self._folder.glob("*.segment")):
            number = int(path.stem)
            locations = _read_records(path)
            end = locations[-1].end if locations else 0
            start = read_offset if number == read_number else 0
            pending = deque(
                location for location in locations if number >= read_number and location.end > start
            )
            for location in locations:
                self._record_sequence(location.header)
            self._segments.append(_Segment(number, path, end, pending))
        reported = {
            location.header.tombstone for segment in self._segments for location in segment.pending
        }
        self._dropped_ranges = [
            dropped for dropped in self._dropped_ranges if dropped not in reported
        ]
        # Each start uses a new segment with the highest number: no read offset or incomplete record applies to it.
        self._next_number = max([read_number, *(segment.number for segment in self._segments)]) + 1
        for segment in [segment for segment in self._segments if not segment.pending]:
            self._remove(segment)
        self._ensure_reserve()

    def _discard_missing_segment(self, segment: _Segment) -> None:
        """The file was removed: report its batches as dropped, and continue with the next segment."""
        log.error("buffer_segment_missing", extra={"segment": segment.path.name})
        missing = ranges_of(location.header for location in segment.pending)
        self._save_dropped_ranges(merge_ranges([*self._dropped_ranges, *missing]))
        self._remove(segment)

    def _oldest(self) -> _Segment | None:
        return next((segment for segment in self._segments if segment.pending), None)

    def _writable(self) -> _Segment:
        last = self._segments[-1] if self._segments else None
        if last is not None and last is self._active_segment and last.size < self._segment_bytes:
            return last
        path = self._folder / f"{self._next_number:012d}.segment"
        path.touch(mode=0o600)
        sync_folder(self._folder)
        self._active_segment = _Segment(self._next_number, path, 0, deque())
        self._next_number += 1
        self._segments.append(self._active_segment)
        if last is not None and not last.pending:
            self._remove(last)
        return self._active_segment

    def _remove(self, segment: _Segment) -> None:
        if segment is self._active_segment:
            self._active_segment = None
        self._segments.remove(segment)
        segment.path.unlink(missing_ok=True)

    def _write(self, segment: _Segment, record: bytes) -> None:
        handle = os.open(segment.path, os.O_WRONLY)
        try:
            # A previous write may be incomplete: always write after the last complete record.
            os.ftruncate(handle, segment.size)
            os.lseek(handle, segment.size, os.SEEK_SET)
            remaining = memoryview(record)
            while remaining:
                remaining = remaining[os.write(handle, remaining) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        segment.size += len(record)

    def _store(self, record: bytes, tombstone: DroppedRange | None) -> _Segment:
        """Write a record; on a full disk drop the oldest segments, but never the one being written."""
        while True:
            try:
                segment = self._writable()
                self._write(segment, record)
            except OSError as error:
                if error.errno not in DISK_FULL_ERRORS or not self._can_drop():
                    raise
                self._drop_oldest(tombstone)
            else:
                return segment

    def _can_drop(self) -> bool:
        oldest = self._segments[0] if self._segments else None
        if oldest is None or oldest is not self._active_segment:
            return oldest is not None
        return oldest.size > 0 and not oldest.pending

    def _make_room(self, needed: int, tombstone: DroppedRange | None) -> None:
        while len(self._segments) > 1 and self.size + needed > self.max_bytes:
            self._drop_oldest(tombstone)

    def _drop_oldest(self, tombstone: DroppedRange | None) -> None:
        oldest = self._segments[0]
        if oldest.pending:
            # The range of the tombstone that is being written must stay as it is: it is compared afterwards.
            others = [dropped for dropped in self._dropped_ranges if dropped != tombstone]
            unchanged = [dropped for dropped in self._dropped_ranges if dropped == tombstone]
            oldest_ranges = ranges_of(location.header for location in oldest.pending)
            self._save_dropped_ranges([*unchanged, *merge_ranges([*others, *oldest_ranges])])
            log.error("buffer_full", extra={"dropped_batches": len(oldest.pending)})
        self._remove(oldest)
        self._ensure_reserve()

    def _record_sequence(self, header: BatchHeader) -> None:
        known = self.last_sequences.get(header.boot_id, 0)
        self.last_sequences[header.boot_id] = max(known, header.sequence)

    def _save_dropped_ranges(self, dropped_ranges: list[DroppedRange]) -> None:
        """Raises OSError; then nothing has changed."""
        path = self._folder / "dropped.json"
        content = json.dumps([astuple(dropped) for dropped in dropped_ranges]).encode()
        try:
            _replace(path, content, sync=True)
        except OSError as error:
            if error.errno not in DISK_FULL_ERRORS:
                raise
            self._reserve.unlink(missing_ok=True)
            _replace(path, content, sync=True)
        self._dropped_ranges = dropped_ranges

    def _clear_dropped_range(self, reported: DroppedRange) -> None:
        """A batch on disk reports it now. If this cannot be saved, it is reported again after a restart."""
        remaining = [dropped for dropped in self._dropped_ranges if dropped != reported]
        try:
            self._save_dropped_ranges(remaining)
        except OSError as error:
            log.warning("dropped_ranges_not_saved", extra={"error": str(error)})
            self._dropped_ranges = remaining

    @property
    def _reserve(self) -> Path:
        return self._folder / "reserve"

    def _ensure_reserve(self) -> None:
        """Create the reserve file if the disk has room for it."""
        if self._reserve.exists():
            return
        try:
            _replace(self._reserve, bytes(RESERVE_BYTES), sync=True)
        except OSError as error:
            self._reserve.with_name(".reserve.new").unlink(missing_ok=True)
            log.warning("buffer_reserve_unavailable", extra={"error": str(error)})

    def _save_read_offset(self, number: int, end: int) -> None:
        """Not synced, and skipped on a full disk: without it a batch is sent twice, which the server recognizes."""
        try:
            _replace(
                self._folder / "read_offset.json", json.dumps([number, end]).encode(), sync=False
            )
        except OSError as error:
            if error.errno not in DISK_FULL_ERRORS:
                raise
            log.debug("read_offset_not_saved")


def _read_records(path: Path) -> list[RecordLocation]:
    with path.open("rb") as file:
        locations = list(scan(file))
    end = locations[-1].end if locations else 0
    if path.stat().st_size > end:
        log.warning("buffer_segment_truncated", extra={"segment": path.name})
        os.truncate(path, end)
    return locations


def _read_json(path: Path, default: Any) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return default
    except ValueError:
        log.exception("buffer_file_damaged", extra={"file": path.name})
        return default


def _replace(path: Path, content: bytes, *, sync: bool) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as out:
        out.write(content)
        if sync:
            out.flush()
            os.fsync(out.fileno())
    temporary.replace(path)
    if sync:
        sync_folder(path.parent)
