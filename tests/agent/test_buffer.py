"""The disk buffer: against a model, truncated at every byte, and under kill -9."""

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.buffer import store
from agent.buffer.batch_writer import BatchWriter
from agent.buffer.record import BatchHeader, DroppedRange, encode, merge_ranges
from agent.buffer.store import Buffer
from agent.samples import PollResult, Sample


def header(
    sequence: int, boot: str = "boot", samples: int = 1, dropped: DroppedRange | None = None
) -> BatchHeader:
    return BatchHeader(f"{boot}-{sequence}", boot, sequence, samples, 0.0, dropped)


class BufferModel(RuleBasedStateMachine):
    """Compares the buffer with a deque; reopened at any time. Limits are tiny, so that segments are dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.sequence = 0
        self.expected: deque[tuple[BatchHeader, bytes]] = deque()
        self.acknowledged: set[int] = set()
        self.buffer = self._open()

    def _open(self) -> Buffer:
        return Buffer(self.folder, max_bytes=2_000, segment_bytes=400)

    @rule(size=st.integers(0, 300))
    def append(self, size: int) -> None:
        self.sequence += 1
        body = bytes([self.sequence % 256]) * size
        added = header(self.sequence)
        self.buffer.append(added, body)
        self.expected.append((added, body))
        self._forget_dropped()

    def _forget_dropped(self) -> None:
        while len(self.expected) > self.buffer.depth:
            dropped, _ = self.expected.popleft()
            assert any(d.first <= dropped.sequence <= d.last for d in self.buffer.dropped_ranges())

    @precondition(lambda self: self.expected)
    @rule()
    def acknowledge(self) -> None:
        oldest, _ = self.expected.popleft()
        self.buffer.acknowledge(oldest)
        self.acknowledged.add(oldest.sequence)

    @rule()
    def reopen(self) -> None:
        self.buffer = self._open()

    @rule(torn=st.binary(max_size=20))
    def crash_within_a_write(self, torn: bytes) -> None:
        segments = sorted(self.folder.glob("*.segment"))
        if segments:
            with segments[-1].open("ab") as file:
                file.write(torn)
        self.buffer = self._open()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert self.buffer.depth == len(self.expected)
        oldest = self.buffer.peek()
        if self.expected:
            assert (oldest.header, oldest.body) == self.expected[0]
        else:
            assert oldest is None

    @invariant()
    def keeps_its_size_limit(self) -> None:
        assert self.buffer.size <= 2_000 + 400

    @invariant()
    def reports_every_dropped_batch(self) -> None:
        reported = {n for d in self.buffer.dropped_ranges() for n in range(d.first, d.last + 1)}
        pending = {expected.sequence for expected, _ in self.expected}
        assert reported | pending | self.acknowledged >= set(range(1, self.sequence + 1))


TestBufferModel = BufferModel.TestCase
TestBufferModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_file_truncated_at_any_byte_keeps_the_complete_records(tmp_path: Path):
    records = [encode(header(n), bytes([n]) * 5) for n in (1, 2, 3)]
    whole = b"".join(records)
    for cut in range(len(whole) + 1):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "000000000001.segment").write_bytes(whole[:cut])
        complete = sum(cut >= len(b"".join(records[: n + 1])) for n in range(3))

        assert Buffer(folder).depth == complete


def test_a_flipped_bit_ends_the_scan(tmp_path: Path):
    whole = bytearray(encode(header(1), b"one") + encode(header(2), b"two"))
    whole[-1] ^= 1
    (tmp_path / "000000000001.segment").write_bytes(whole)

    assert Buffer(tmp_path).depth == 1


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch):
    buffer = Buffer(tmp_path)
    batch_writer = BatchWriter(buffer, agent_id="a")
    batch_writer.put(PollResult((Sample(1.0, "device.up", "d", 1.0, "probe"),)))
    plain = os.write
    monkeypatch.setattr(store.os, "write", lambda handle, data: plain(handle, data[:5]) and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        buffer.append(header(9), b"x")
    monkeypatch.setattr(store.os, "write", refuse)
    with pytest.raises(OSError, match="No space"):
        batch_writer.flush()
    monkeypatch.setattr(store.os, "write", plain)

    assert batch_writer.flush() == 1
    assert body_of(buffer)["sequence"] == 1
    assert len(body_of(buffer)["metrics"]) == 1
    assert Buffer(tmp_path).depth == 1


def refuse(*_args) -> int:
    raise OSError(28, "No space left on device")


def body_of(buffer: Buffer) -> dict:
    return json.loads(gzip.decompress(buffer.peek().body))


def result_of(number: int) -> PollResult:
    return PollResult((Sample(float(number), "device.up", "d", 1.0, "probe"),))


def test_a_dropped_range_is_reported_once_with_the_next_batch(tmp_path: Path):
    buffer = Buffer(tmp_path, max_bytes=3_000, segment_bytes=600)
    batch_writer = BatchWriter(buffer, agent_id="a")
    for number in range(20):
        batch_writer.put(result_of(number))
        batch_writer.flush()
    batches = []
    while buffer.depth:
        batches.append(body_of(buffer))
        buffer.acknowledge(buffer.peek().header)
    while buffer.dropped_ranges():
        batch_writer.put(result_of(99))
        batch_writer.flush()
        batches.append(body_of(buffer))
        buffer.acknowledge(buffer.peek().header)

    sequences = [batch["sequence"] for batch in batches]
    dropped = [batch["dropped"] for batch in batches if "dropped" in batch]
    assert sequences == sorted(sequences)
    assert sequences[0] > 1
    covered = {n for gap in dropped for n in range(gap["from"], gap["to"] + 1)}
    assert covered | set(sequences) == set(range(1, sequences[-1] + 1))
    assert sequences[-1] < 26


def test_drops_of_a_previous_boot_are_reported_in_a_batch_of_that_boot(tmp_path: Path):
    first = BatchWriter(Buffer(tmp_path, max_bytes=3_000, segment_bytes=600), agent_id="a")
    for number in range(20):
        first.put(result_of(number))
        first.flush()
    buffer = Buffer(tmp_path)
    depth = buffer.depth
    # As if the process had died between dropping and reporting.
    buffer._dropped_ranges.append(DroppedRange(first.boot_id, 1, 2, 2))
    dropped_count = len(buffer.dropped_ranges())
    second = BatchWriter(buffer, agent_id="a")
    second.flush()
    batches = []
    while buffer.depth:
        batches.append(body_of(buffer))
        buffer.acknowledge(buffer.peek().header)

    assert {batch["boot_id"] for batch in batches} == {first.boot_id}
    last = batches[-1]
    assert (last["sequence"], last["metrics"]) == (20 + dropped_count, [])
    assert last["dropped"] == {"from": 1, "to": 2, "samples": 2}
    assert len(batches) >= depth


def test_the_answer_to_a_batch_that_was_dropped_meanwhile_removes_no_other(tmp_path: Path):
    """While the server answers, a full buffer drops the batch that was sent."""
    buffer = Buffer(tmp_path, max_bytes=1_000, segment_bytes=300)
    buffer.append(header(1), b"x" * 250)
    sent = buffer.peek()
    for sequence in range(2, 8):
        buffer.append(header(sequence), b"x" * 250)
    dropped = {n for gap in buffer.dropped_ranges() for n in range(gap.first, gap.last + 1)}
    assert sent.header.sequence in dropped

    buffer.acknowledge(sent.header)
    buffer.quarantine(sent, "refused")

    remaining = []
    while stored := buffer.peek():
        remaining.append(stored.header.sequence)
        buffer.acknowledge(stored.header)
    assert dropped | set(remaining) == set(range(1, 8))
    assert dropped & set(remaining) == set()


def test_a_missing_segment_file_blocks_nothing(tmp_path: Path):
    buffer = Buffer(tmp_path)
    buffer.append(header(1), b"one")
    next(tmp_path.glob("*.segment")).unlink()

    assert buffer.peek() is None
    assert buffer.dropped_ranges() == [DroppedRange("boot", 1, 1, 1)]
    buffer.append(header(2), b"two")
    assert buffer.peek().body == b"two"


def test_adjacent_ranges_are_merged():
    ranges = [
        DroppedRange("b", 3, 3, 5),
        DroppedRange("b", 1, 2, 4),
        DroppedRange("c", 4, 4, 1),
        DroppedRange("b", 9, 9, 1),
    ]

    assert merge_ranges(ranges) == [
        DroppedRange("b", 1, 3, 9),
        DroppedRange("b", 9, 9, 1),
        DroppedRange("c", 4, 4, 1),
    ]


def test_a_large_result_is_split_into_batches(tmp_path: Path):
    buffer = Buffer(tmp_path)
    batch_writer = BatchWriter(buffer, agent_id="a")
    batch_writer.max_metrics = 100
    batch_writer.put(PollResult(result_of(1).samples * 250, patch={"interfaces": [{"id": "x"}]}))

    assert batch_writer.flush() == 3
    first = body_of(buffer)
    assert (len(first["metrics"]), first["inventory_patch"]) == (100, {"interfaces": [{"id": "x"}]})


WRITER = """
import sys
from pathlib import Path
from agent.buffer.record import BatchHeader, merge_ranges
from agent.buffer.store import Buffer
buffer = Buffer(Path(sys.argv[1]), segment_bytes=4000)
begin = int(sys.argv[2])
for number in range(begin, begin + 10**6):
    buffer.append(BatchHeader(str(number), "boot", number, 1, 0.0), b"x" * (number % 700))
    print(number, flush=True)
    if number % 3 == 0:
        buffer.acknowledge(buffer.peek().header)
"""


def test_kill_9_loses_no_appended_batch(tmp_path: Path):
    """What `append` returned for is there after the kill; nothing is there twice or out of order."""
    next_number = 1
    for round_ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(next_number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        process.stdout.readline()
        time.sleep(0.03 * (round_ + 1))
        process.send_signal(signal.SIGKILL)
        appended = [int(line) for line in process.communicate()[0].split()]
        last = appended[-1] if appended else next_number

        buffer = Buffer(tmp_path, segment_bytes=4000)
        sequences = []
        while stored := buffer.peek():
            assert len(stored.body) == stored.header.sequence % 700
            sequences.append(stored.header.sequence)
            buffer.acknowledge(stored.header)
        assert sequences == list(range(sequences[0], sequences[-1] + 1))
        assert sequences[-1] in {last, last + 1}
        next_number = sequences[-1] + 1
