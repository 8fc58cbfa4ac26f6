"""The disk buffer: against a model, cut at every byte, and under kill -9."""

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
from agent.buffer.outbox import Outbox
from agent.buffer.record import Dropped, Head, encode
from agent.buffer.store import Buffer, merged
from agent.samples import Findings, Sample


def head(sequence: int, boot: str = "boot", samples: int = 1, lost: Dropped | None = None) -> Head:
    return Head(f"{boot}-{sequence}", boot, sequence, samples, 0.0, lost)


class BufferModel(RuleBasedStateMachine):
    """A deque on one side, the buffer on the other; reopened at will. Bounds are tiny, so that segments turn over."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.sequence = 0
        self.expected: deque[tuple[Head, bytes]] = deque()
        self.acknowledged: set[int] = set()
        self.buffer = self._open()

    def _open(self) -> Buffer:
        return Buffer(self.folder, max_bytes=2_000, segment_bytes=400)

    @rule(size=st.integers(0, 300))
    def append(self, size: int) -> None:
        self.sequence += 1
        body = bytes([self.sequence % 256]) * size
        own = head(self.sequence)
        self.buffer.append(own, body)
        self.expected.append((own, body))
        self._forget_dropped()

    def _forget_dropped(self) -> None:
        while len(self.expected) > self.buffer.depth:
            lost, _ = self.expected.popleft()
            assert any(d.first <= lost.sequence <= d.last for d in self.buffer.lost())

    @precondition(lambda self: self.expected)
    @rule()
    def acknowledge(self) -> None:
        own, _ = self.expected.popleft()
        self.buffer.done(own)
        self.acknowledged.add(own.sequence)

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
        found = self.buffer.peek()
        if self.expected:
            assert (found.head, found.body) == self.expected[0]
        else:
            assert found is None

    @invariant()
    def keeps_its_bound(self) -> None:
        assert self.buffer.size <= 2_000 + 400

    @invariant()
    def loses_nothing_unsaid(self) -> None:
        told = {n for d in self.buffer.lost() for n in range(d.first, d.last + 1)}
        kept = {own.sequence for own, _ in self.expected}
        assert told | kept | self.acknowledged >= set(range(1, self.sequence + 1))


TestBufferModel = BufferModel.TestCase
TestBufferModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_file_cut_at_any_byte_gives_the_whole_records_before_it(tmp_path: Path):
    records = [encode(head(n), bytes([n]) * 5) for n in (1, 2, 3)]
    whole = b"".join(records)
    for cut in range(len(whole) + 1):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "000000000001.segment").write_bytes(whole[:cut])
        complete = sum(cut >= len(b"".join(records[: n + 1])) for n in range(3))

        assert Buffer(folder).depth == complete


def test_a_flipped_bit_ends_the_reading(tmp_path: Path):
    whole = bytearray(encode(head(1), b"one") + encode(head(2), b"two"))
    whole[-1] ^= 1
    (tmp_path / "000000000001.segment").write_bytes(whole)

    assert Buffer(tmp_path).depth == 1


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch):
    buffer = Buffer(tmp_path)
    outbox = Outbox(buffer, agent_id="a")
    outbox.put(Findings((Sample(1.0, "device.up", "d", 1.0, "probe"),)))
    plain = os.write
    monkeypatch.setattr(store.os, "write", lambda handle, data: plain(handle, data[:5]) and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        buffer.append(head(9), b"x")
    monkeypatch.setattr(store.os, "write", refuse)
    with pytest.raises(OSError, match="No space"):
        outbox.flush()
    monkeypatch.setattr(store.os, "write", plain)

    assert outbox.flush() == 1
    assert body_of(buffer)["sequence"] == 1
    assert len(body_of(buffer)["metrics"]) == 1
    assert Buffer(tmp_path).depth == 1


def refuse(*_args) -> int:
    raise OSError(28, "No space left on device")


def body_of(buffer: Buffer) -> dict:
    return json.loads(gzip.decompress(buffer.peek().body))


def sample(number: int) -> Findings:
    return Findings((Sample(float(number), "device.up", "d", 1.0, "probe"),))


def test_what_was_dropped_is_told_once_with_the_next_batch(tmp_path: Path):
    buffer = Buffer(tmp_path, max_bytes=3_000, segment_bytes=600)
    outbox = Outbox(buffer, agent_id="a")
    for number in range(20):
        outbox.put(sample(number))
        outbox.flush()
    told = []
    while buffer.depth:
        told.append(body_of(buffer))
        buffer.done(buffer.peek().head)
    while buffer.lost():
        outbox.put(sample(99))
        outbox.flush()
        told.append(body_of(buffer))
        buffer.done(buffer.peek().head)

    sequences = [batch["sequence"] for batch in told]
    dropped = [batch["dropped"] for batch in told if "dropped" in batch]
    assert sequences == sorted(sequences)
    assert sequences[0] > 1
    covered = {n for lost in dropped for n in range(lost["from"], lost["to"] + 1)}
    assert covered | set(sequences) == set(range(1, sequences[-1] + 1))
    assert sequences[-1] < 26


def test_losses_of_an_earlier_start_go_out_in_its_name(tmp_path: Path):
    first = Outbox(Buffer(tmp_path, max_bytes=3_000, segment_bytes=600), agent_id="a")
    for number in range(20):
        first.put(sample(number))
        first.flush()
    buffer = Buffer(tmp_path)
    depth = buffer.depth
    # As if the process had died between dropping and telling.
    buffer._lost.append(Dropped(first.boot_id, 1, 2, 2))
    number_lost = len(buffer.lost())
    second = Outbox(buffer, agent_id="a")
    second.flush()
    batches = []
    while buffer.depth:
        batches.append(body_of(buffer))
        buffer.done(buffer.peek().head)

    assert {batch["boot_id"] for batch in batches} == {first.boot_id}
    last = batches[-1]
    assert (last["sequence"], last["metrics"]) == (20 + number_lost, [])
    assert last["dropped"] == {"from": 1, "to": 2, "samples": 2}
    assert len(batches) >= depth


def test_a_segment_that_somebody_removed_holds_up_nothing(tmp_path: Path):
    buffer = Buffer(tmp_path)
    buffer.append(head(1), b"one")
    next(tmp_path.glob("*.segment")).unlink()

    assert buffer.peek() is None
    assert buffer.lost() == [Dropped("boot", 1, 1, 1)]
    buffer.append(head(2), b"two")
    assert buffer.peek().body == b"two"


def test_ranges_that_touch_are_one():
    lost = [
        Dropped("b", 3, 3, 5),
        Dropped("b", 1, 2, 4),
        Dropped("c", 4, 4, 1),
        Dropped("b", 9, 9, 1),
    ]

    assert merged(lost) == [
        Dropped("b", 1, 3, 9),
        Dropped("b", 9, 9, 1),
        Dropped("c", 4, 4, 1),
    ]


def test_a_large_finding_is_cut_into_batches(tmp_path: Path):
    buffer = Buffer(tmp_path)
    outbox = Outbox(buffer, agent_id="a")
    outbox.max_metrics = 100
    outbox.put(Findings(sample(1).samples * 250, patch={"interfaces": [{"id": "x"}]}))

    assert outbox.flush() == 3
    first = body_of(buffer)
    assert (len(first["metrics"]), first["inventory_patch"]) == (100, {"interfaces": [{"id": "x"}]})


WRITER = """
import sys
from pathlib import Path
from agent.buffer.record import Head
from agent.buffer.store import Buffer
buffer = Buffer(Path(sys.argv[1]), segment_bytes=4000)
begin = int(sys.argv[2])
for number in range(begin, begin + 10**6):
    buffer.append(Head(str(number), "boot", number, 1, 0.0), b"x" * (number % 700))
    print(number, flush=True)
    if number % 3 == 0:
        buffer.done(buffer.peek().head)
"""


def test_kill_9_loses_nothing_that_was_taken(tmp_path: Path):
    """What `append` returned for is there after the kill; nothing is there twice or out of order."""
    began = 1
    for round_ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(began)],
            stdout=subprocess.PIPE,
            text=True,
        )
        process.stdout.readline()
        time.sleep(0.03 * (round_ + 1))
        process.send_signal(signal.SIGKILL)
        taken = [int(line) for line in process.communicate()[0].split()]
        last = taken[-1] if taken else began

        buffer = Buffer(tmp_path, segment_bytes=4000)
        found = []
        while stored := buffer.peek():
            assert len(stored.body) == stored.head.sequence % 700
            found.append(stored.head.sequence)
            buffer.done(stored.head)
        assert found == list(range(found[0], found[-1] + 1))
        assert found[-1] in {last, last + 1}
        began = found[-1] + 1
