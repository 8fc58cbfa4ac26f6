"""The disk buffer: a queue of batches in segment files that survives kill -9 at any byte.

A batch is on disk, synced, before it is sent, and leaves the disk only when the server has it. When the bound is
reached, or the disk is full, the oldest segment goes; what was in it is remembered in a file until a batch with the
tombstone is on disk.
"""

import errno
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from agent.buffer.record import Dropped, Head, Place, encode, scan
from agent.state import sync_folder

log = logging.getLogger(__name__)

MAX_BYTES = 256 * 2**20
SEGMENT_BYTES = 2**20
MAX_QUARANTINED = 100
#: Kept free for writing down on a full disk what is about to be dropped.
RESERVE_BYTES = 2**14
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Stored:
    """A batch on disk; ``body`` are the gzipped bytes, the same on every try."""

    head: Head
    body: bytes


@dataclass(eq=False)
class _Segment:
    """A file of records. ``waiting`` are those that the server does not have yet."""

    number: int
    path: Path
    size: int
    waiting: deque[Place]


class Buffer:
    """Batches in the order in which they were made, of this boot and earlier ones. Safe for threads."""

    def __init__(
        self, folder: Path, *, max_bytes: int = MAX_BYTES, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._folder = folder
        self.max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._guard = threading.RLock()
        self._segments: deque[_Segment] = deque()
        self._own: _Segment | None = None
        self._next = 1
        self._lost: list[Dropped] = []
        #: The highest sequence on disk of each boot: a tombstone of an ended boot comes after it.
        self.last_sequences: dict[str, int] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open()

    @property
    def depth(self) -> int:
        """Batches that the server does not have yet."""
        with self._guard:
            return sum(len(segment.waiting) for segment in self._segments)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        with self._guard:
            return sum(segment.size for segment in self._segments)

    def age(self, at: float) -> float:
        """How long the oldest batch has been waiting, in seconds."""
        with self._guard:
            oldest = self._oldest()
            return max(0.0, at - oldest.waiting[0].head.made_at) if oldest else 0.0

    def lost(self) -> list[Dropped]:
        """What was dropped and no batch on disk tells of yet."""
        with self._guard:
            return list(self._lost)

    def append(self, head: Head, body: bytes) -> None:
        """Put a batch on disk; when this returns it survives. Raises OSError, and then it is not there."""
        record = encode(head, body)
        with self._guard:
            self._make_room(len(record), head.tombstone)
            segment = self._store(record, head.tombstone)
            place = Place(head, segment.size - len(body), len(body), segment.size)
            segment.waiting.append(place)
            self._note(head)
            if head.tombstone in self._lost:
                self._forget_lost(head.tombstone)

    def peek(self) -> Stored | None:
        """The oldest batch, which stays until ``done``."""
        with self._guard:
            while (segment := self._oldest()) is not None:
                place = segment.waiting[0]
                try:
                    with segment.path.open("rb") as file:
                        file.seek(place.body_at)
                        return Stored(place.head, file.read(place.body_length))
                except FileNotFoundError:
                    self._give_up(segment)
            return None

    def done(self, head: Head) -> None:
        """The server has this batch, or will never take it. Nothing happens if it is gone already."""
        with self._guard:
            segment = self._oldest()
            if segment is None or segment.waiting[0].head != head:
                return
            place = segment.waiting.popleft()
            if segment.waiting or segment is self._segments[-1]:
                self._save_mark(segment.number, place.end)
            else:
                self._remove(segment)

    def quarantine(self, stored: Stored, reason: str) -> None:
        """Set a batch aside that the server will never take, for a person to look at."""
        aside = self._folder / "quarantine"
        aside.mkdir(mode=0o700, exist_ok=True)
        kept = sorted(aside.glob("*.json.gz"), key=lambda path: path.stat().st_mtime)
        for path in kept[: max(0, len(kept) - MAX_QUARANTINED + 1)]:
            path.unlink(missing_ok=True)
        path = aside / f"{stored.head.sequence:012d}-{stored.head.batch_id}-{reason}.json.gz"
        try:
            path.write_bytes(stored.body)
        except OSError as error:
            if error.errno not in FULL:
                raise
            path.unlink(missing_ok=True)
            log.error("the disk is full: no copy of a refused batch", extra={"batch": path.name})  # noqa: TRY400  # known
        self.done(stored.head)

    def _open(self) -> None:
        self._lost = [Dropped(*row) for row in _read_json(self._folder / "lost.json", [])]
        marked, mark = _read_json(self._folder / "mark.json", [0, 0])
        for path in sorted(self._folder.glob("*.segment")):
            number = int(path.stem)
            places = _whole_records(path)
            end = places[-1].end if places else 0
            done_to = mark if number == marked else 0
            waiting = deque(p for p in places if number >= marked and p.end > done_to)
            for place in places:
                self._note(place.head)
            self._segments.append(_Segment(number, path, end, waiting))
        told = {p.head.tombstone for s in self._segments for p in s.waiting}
        self._lost = [lost for lost in self._lost if lost not in told]
        # Each start begins a segment of its own, above all others: no mark or torn end of a former one touches it.
        self._next = max([marked, *(segment.number for segment in self._segments)]) + 1
        for segment in [segment for segment in self._segments if not segment.waiting]:
            self._remove(segment)
        self._keep_reserve()

    def _give_up(self, segment: _Segment) -> None:
        """Somebody removed the file: what was in it is lost and told as such, and holds up nothing."""
        log.error("a buffer segment is gone", extra={"segment": segment.path.name})
        self._save_lost(merged([*self._lost, *ranges(place.head for place in segment.waiting)]))
        self._remove(segment)

    def _oldest(self) -> _Segment | None:
        return next((segment for segment in self._segments if segment.waiting), None)

    def _writable(self) -> _Segment:
        last = self._segments[-1] if self._segments else None
        if last is not None and last is self._own and last.size < self._segment_bytes:
            return last
        path = self._folder / f"{self._next:012d}.segment"
        path.touch(mode=0o600)
        sync_folder(self._folder)
        self._own = _Segment(self._next, path, 0, deque())
        self._next += 1
        self._segments.append(self._own)
        if last is not None and not last.waiting:
            self._remove(last)
        return self._own

    def _remove(self, segment: _Segment) -> None:
        if segment is self._own:
            self._own = None
        self._segments.remove(segment)
        segment.path.unlink(missing_ok=True)

    def _write(self, segment: _Segment, record: bytes) -> None:
        handle = os.open(segment.path, os.O_WRONLY)
        try:
            # A former write may have failed half-way: always from where the last whole record ends.
            os.ftruncate(handle, segment.size)
            os.lseek(handle, segment.size, os.SEEK_SET)
            left = memoryview(record)
            while left:
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        segment.size += len(record)

    def _store(self, record: bytes, being_told: Dropped | None) -> _Segment:
        """Write a record; on a full disk the oldest make room, down to the segment that is being written."""
        while True:
            try:
                segment = self._writable()
                self._write(segment, record)
            except OSError as error:
                if error.errno not in FULL or not self._can_drop():
                    raise
                self._drop_oldest(being_told)
            else:
                return segment

    def _can_drop(self) -> bool:
        oldest = self._segments[0] if self._segments else None
        if oldest is None or oldest is not self._own:
            return oldest is not None
        return oldest.size > 0 and not oldest.waiting

    def _make_room(self, needed: int, being_told: Dropped | None) -> None:
        while len(self._segments) > 1 and self.size + needed > self.max_bytes:
            self._drop_oldest(being_told)

    def _drop_oldest(self, being_told: Dropped | None) -> None:
        oldest = self._segments[0]
        if oldest.waiting:
            others = [lost for lost in self._lost if lost != being_told]
            kept = [lost for lost in self._lost if lost == being_told]
            self._save_lost([*kept, *merged([*others, *ranges(p.head for p in oldest.waiting)])])
            log.error("buffer full, oldest batches dropped", extra={"batches": len(oldest.waiting)})
        self._remove(oldest)
        self._keep_reserve()

    def _note(self, head: Head) -> None:
        known = self.last_sequences.get(head.boot_id, 0)
        self.last_sequences[head.boot_id] = max(known, head.sequence)

    def _save_lost(self, lost: list[Dropped]) -> None:
        """Raises OSError, and then it is as before."""
        path, rows = self._folder / "lost.json", json.dumps([astuple(row) for row in lost]).encode()
        try:
            _replace(path, rows, sync=True)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._reserve.unlink(missing_ok=True)
            _replace(path, rows, sync=True)
        self._lost = lost

    def _forget_lost(self, told: Dropped) -> None:
        """A batch on disk tells of it now. If that cannot be written down, it is told once more after a restart."""
        rest = [lost for lost in self._lost if lost != told]
        try:
            self._save_lost(rest)
        except OSError as error:
            log.warning("what was told is not written down", extra={"said": str(error)})
            self._lost = rest

    @property
    def _reserve(self) -> Path:
        return self._folder / "reserve"

    def _keep_reserve(self) -> None:
        """Have it there if the disk allows."""
        if self._reserve.exists():
            return
        try:
            _replace(self._reserve, bytes(RESERVE_BYTES), sync=True)
        except OSError as error:
            self._reserve.with_name(".reserve.new").unlink(missing_ok=True)
            log.warning("no room for a reserve", extra={"said": str(error)})

    def _save_mark(self, number: int, end: int) -> None:
        """Not synced, and not there on a full disk: a lost mark means that a batch is sent twice, which the server
        knows."""
        try:
            _replace(self._folder / "mark.json", json.dumps([number, end]).encode(), sync=False)
        except OSError as error:
            if error.errno not in FULL:
                raise
            log.debug("no mark on a full disk")


def ranges(heads: Iterable[Head]) -> list[Dropped]:
    """The sequences of these batches, by boot, as ranges; with what their own tombstones told."""
    found: list[Dropped] = []
    for head in heads:
        if head.tombstone is not None:
            found.append(head.tombstone)
        found.append(Dropped(head.boot_id, head.sequence, head.sequence, head.samples))
    return merged(found)


def merged(lost: Iterable[Dropped]) -> list[Dropped]:
    """Adjoining ranges of one boot as one."""
    result: list[Dropped] = []
    for one in sorted(lost, key=lambda item: (item.boot_id, item.first)):
        last = result[-1] if result else None
        if last and last.boot_id == one.boot_id and one.first <= last.last + 1:
            end, samples = max(last.last, one.last), last.samples + one.samples
            result[-1] = Dropped(last.boot_id, last.first, end, samples)
        else:
            result.append(one)
    return result


def _whole_records(path: Path) -> list[Place]:
    with path.open("rb") as file:
        places = list(scan(file))
    end = places[-1].end if places else 0
    if path.stat().st_size > end:
        log.warning("buffer segment ends in a torn record", extra={"segment": path.name})
        os.truncate(path, end)
    return places


def _read_json(path: Path, otherwise: Any) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return otherwise
    except ValueError:
        log.exception("buffer file is damaged", extra={"file": path.name})
        return otherwise


def _replace(path: Path, content: bytes, *, sync: bool) -> None:
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as out:
        out.write(content)
        if sync:
            out.flush()
            os.fsync(out.fileno())
    beside.replace(path)
    if sync:
        sync_folder(path.parent)
