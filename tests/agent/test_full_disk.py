"""An agent whose disk is full: a real file system of 16 MB, filled by its own batches and by other files."""

import ctypes
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.buffer.batch_writer import BatchWriter
from agent.buffer.store import Buffer
from agent.samples import PollResult, Sample
from apps.ingest.models import BatchReceipt, Stream
from apps.tenancy import acting_in
from tests.agent.echo import Echo
from tests.agent.test_end_to_end import batches_received, probe
from tests.supervisor.waiting import eventually

SIZE = 16 * 2**20
LIBC = ctypes.CDLL(None, use_errno=True)
DETACH = 2


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A tmpfs of 16 MB, unmounted afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ispvm-small-disk-"))
    arguments = (b"tmpfs", str(folder).encode(), b"tmpfs", 0, f"size={SIZE},mode=0700".encode())
    if LIBC.mount(*arguments) != 0:
        folder.rmdir()
        pytest.skip(f"No file system may be mounted here: {os.strerror(ctypes.get_errno())}")
    yield folder
    LIBC.umount2(str(folder).encode(), DETACH)
    folder.rmdir()


def fill(path: Path) -> None:
    """Fill the disk with another file."""
    with path.open("wb") as file, suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(4096))


def result_of(number: int) -> PollResult:
    """A result that hardly compresses: a batch of 60 kB and more."""
    rng = random.Random(number)
    return PollResult(
        tuple(
            Sample(float(number), "device.up", str(rng.getrandbits(128)), rng.random(), "probe")
            for _ in range(1500)
        )
    )


def drain(buffer: Buffer) -> list[dict]:
    """Every batch, as the server would receive it."""
    batches = []
    while (stored := buffer.peek()) is not None:
        batches.append(json.loads(gzip.decompress(stored.body)))
        buffer.acknowledge(stored.header)
    return batches


def summarize(batches: list[dict]) -> tuple[list[int], set[int], int]:
    """Received sequences, sequences reported as dropped, and the number of dropped samples."""
    dropped = [batch["dropped"] for batch in batches if "dropped" in batch]
    gaps = {n for gap in dropped for n in range(gap["from"], gap["to"] + 1)}
    return [batch["sequence"] for batch in batches], gaps, sum(gap["samples"] for gap in dropped)


class TestBuffer:
    def test_the_oldest_are_dropped_and_every_gap_is_reported(self, small_disk, record_property):
        buffer = Buffer(small_disk / "buffer")
        batch_writer = BatchWriter(buffer, agent_id="a")
        batch_count = 0
        for number in range(500):
            batch_writer.put(result_of(number))
            batch_count += batch_writer.flush()
        assert buffer.size < SIZE
        batches = drain(buffer)
        batch_writer.put(result_of(0))
        batch_count += batch_writer.flush()
        batches += drain(buffer)

        arrived, gaps, samples = summarize(batches)
        assert arrived == sorted(set(arrived))
        assert gaps | set(arrived) == set(range(1, batch_count + 1))
        assert not gaps & set(arrived)
        assert gaps == set(range(1, len(gaps) + 1)) != set(), "the oldest, and no others"
        assert samples == 1500 * len(gaps)
        record_property(
            "bar",
            f"agent's disk full (tmpfs, 16 MB): {batch_count} batches created, {len(gaps)} dropped from the"
            f" oldest on and reported, {len(arrived)} delivered, 0 unreported",
        )

    def test_a_drop_survives_a_restart_before_it_was_reported(self, small_disk):
        batch_writer = BatchWriter(Buffer(small_disk / "buffer"), agent_id="a")
        for number in range(400):
            batch_writer.put(result_of(number))
            batch_writer.flush()
        buffer = Buffer(small_disk / "buffer")
        later = BatchWriter(buffer, agent_id="a")
        later.flush()

        arrived, gaps, _ = summarize(drain(buffer))
        assert gaps | set(arrived) >= set(range(1, 401))
        assert not gaps & set(arrived)

    def test_while_other_files_fill_the_disk_data_stays_in_memory(self, small_disk):
        buffer = Buffer(small_disk / "buffer")
        batch_writer = BatchWriter(buffer, agent_id="a")
        batch_writer.put(result_of(1))
        batch_writer.flush()
        fill(small_disk / "others")
        for number in (2, 3):
            batch_writer.put(result_of(number))
            with pytest.raises(OSError, match="No space"):
                batch_writer.flush()
        assert buffer.dropped_ranges() == []
        (small_disk / "others").unlink()
        batch_writer.flush()

        arrived, gaps, _ = summarize(batches := drain(buffer))
        assert (arrived, gaps) == ([1, 2], set())
        assert sum(len(batch["metrics"]) for batch in batches) == 4500

    def test_delivered_batches_free_space_on_a_full_disk(self, small_disk):
        buffer = Buffer(small_disk / "buffer")
        batch_writer = BatchWriter(buffer, agent_id="a")
        for number in range(3):
            batch_writer.put(result_of(number))
            batch_writer.flush()
        fill(small_disk / "others")
        assert len(drain(buffer)) == 3

        batch_writer.put(result_of(4))
        batch_writer.flush()

        assert summarize(drain(buffer)) == ([4], set(), 0)


def test_an_agent_on_a_full_disk_keeps_running_and_catches_up(ingest, small_disk):
    """No server and a full disk: it keeps running; with space and a server again it delivers."""
    echo = Echo("127.0.0.1")
    token, device = ingest.token()
    with acting_in(ingest.tenant):
        probe(device, echo)
    state = small_disk / "state"
    assert main(["enroll", "--token", token, "--state-dir", str(state)]) == 0
    with (small_disk.parent / f"{small_disk.name}.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent", "run", "--state-dir", str(state)],
            stdout=log,
            stderr=log,
        )
        try:
            eventually(lambda: batches_received(ingest) >= 1)
            ingest.server.refuse = lambda *_: (503, [], b"{}")
            fill(small_disk / "others")
            eventually(lambda: "batch_not_written" in Path(log.name).read_text())
            assert process.poll() is None
            (small_disk / "others").unlink()
            ingest.server.refuse = lambda *_: None
            before = batches_received(ingest)
            eventually(lambda: batches_received(ingest) >= before + 3)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(300)
            echo.close()
        Path(log.name).unlink()

    assert code == 0
    with acting_in(ingest.tenant):
        (stream,) = Stream.objects.all()
        assert (stream.ahead, stream.sequences_skipped, stream.samples_dropped) == ([], 0, 0)
        assert stream.high == BatchReceipt.objects.filter(stream=stream).count()
