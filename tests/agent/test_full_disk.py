"""An agent whose disk is full: a real file system of 16 MB, filled by its own batches and by somebody else's files."""

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
from agent.buffer.outbox import Outbox
from agent.buffer.store import Buffer
from agent.samples import Findings, Sample
from apps.ingest.models import BatchReceipt, Stream
from apps.tenancy import acting_in
from tests.agent.echo import Echo
from tests.agent.test_end_to_end import batches_seen, probe
from tests.supervisor.waiting import eventually

SIZE = 16 * 2**20
MOUNTS = ctypes.CDLL(None, use_errno=True)
DETACH = 2


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A tmpfs of 16 MB, taken away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ispvm-small-disk-"))
    wish = (b"tmpfs", str(folder).encode(), b"tmpfs", 0, f"size={SIZE},mode=0700".encode())
    if MOUNTS.mount(*wish) != 0:
        folder.rmdir()
        pytest.skip(f"No file system may be mounted here: {os.strerror(ctypes.get_errno())}")
    yield folder
    MOUNTS.umount2(str(folder).encode(), DETACH)
    folder.rmdir()


def fill(path: Path) -> None:
    """Somebody else's file takes everything."""
    with path.open("wb") as file, suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(4096))


def findings(number: int) -> Findings:
    """A batch that hardly shrinks: 60 kB and more."""
    rng = random.Random(number)
    return Findings(
        tuple(
            Sample(float(number), "device.up", str(rng.getrandbits(128)), rng.random(), "probe")
            for _ in range(1500)
        )
    )


def drain(buffer: Buffer) -> list[dict]:
    """Every batch, as the server would have it."""
    batches = []
    while (stored := buffer.peek()) is not None:
        batches.append(json.loads(gzip.decompress(stored.body)))
        buffer.done(stored.head)
    return batches


def numbers(batches: list[dict]) -> tuple[list[int], set[int], int]:
    """Sequences that arrived, sequences told as dropped, and the samples that were in those."""
    told = [batch["dropped"] for batch in batches if "dropped" in batch]
    gaps = {n for lost in told for n in range(lost["from"], lost["to"] + 1)}
    return [batch["sequence"] for batch in batches], gaps, sum(lost["samples"] for lost in told)


class TestBuffer:
    def test_the_oldest_go_and_every_gap_is_told(self, small_disk, record_property):
        buffer = Buffer(small_disk / "buffer")
        outbox = Outbox(buffer, agent_id="a")
        made = 0
        for number in range(500):
            outbox.put(findings(number))
            made += outbox.flush()
        assert buffer.size < SIZE
        batches = drain(buffer)
        outbox.put(findings(0))
        made += outbox.flush()
        batches += drain(buffer)

        arrived, gaps, samples = numbers(batches)
        assert arrived == sorted(set(arrived))
        assert gaps | set(arrived) == set(range(1, made + 1))
        assert not gaps & set(arrived)
        assert gaps == set(range(1, len(gaps) + 1)) != set(), "the oldest, and no others"
        assert samples == 1500 * len(gaps)
        record_property(
            "bar",
            f"agent's disk full (tmpfs, 16 MB): {made} batches made, {len(gaps)} dropped from the"
            f" oldest on and told, {len(arrived)} kept, 0 untold",
        )

    def test_dropping_survives_a_start_before_it_was_told(self, small_disk):
        outbox = Outbox(Buffer(small_disk / "buffer"), agent_id="a")
        for number in range(400):
            outbox.put(findings(number))
            outbox.flush()
        buffer = Buffer(small_disk / "buffer")
        later = Outbox(buffer, agent_id="a")
        later.flush()

        arrived, gaps, _ = numbers(drain(buffer))
        assert gaps | set(arrived) >= set(range(1, 401))
        assert not gaps & set(arrived)

    def test_what_others_fill_waits_in_memory_until_there_is_room(self, small_disk):
        buffer = Buffer(small_disk / "buffer")
        outbox = Outbox(buffer, agent_id="a")
        outbox.put(findings(1))
        outbox.flush()
        fill(small_disk / "others")
        for number in (2, 3):
            outbox.put(findings(number))
            with pytest.raises(OSError, match="No space"):
                outbox.flush()
        assert buffer.lost() == []
        (small_disk / "others").unlink()
        outbox.flush()

        arrived, gaps, _ = numbers(batches := drain(buffer))
        assert (arrived, gaps) == ([1, 2], set())
        assert sum(len(batch["metrics"]) for batch in batches) == 4500

    def test_what_was_delivered_makes_room_though_the_disk_is_others(self, small_disk):
        buffer = Buffer(small_disk / "buffer")
        outbox = Outbox(buffer, agent_id="a")
        for number in range(3):
            outbox.put(findings(number))
            outbox.flush()
        fill(small_disk / "others")
        assert len(drain(buffer)) == 3

        outbox.put(findings(4))
        outbox.flush()

        assert numbers(drain(buffer)) == ([4], set(), 0)


def test_an_agent_on_a_full_disk_lives_and_catches_up(ingest, small_disk):
    """Nobody takes its batches and its disk has no room: it goes on working; with room and a server it delivers."""
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
            eventually(lambda: batches_seen(ingest) >= 1)
            ingest.server.refuse = lambda *_: (503, [], b"{}")
            fill(small_disk / "others")
            eventually(lambda: "the disk takes no batch" in Path(log.name).read_text())
            assert process.poll() is None
            (small_disk / "others").unlink()
            ingest.server.refuse = lambda *_: None
            before = batches_seen(ingest)
            eventually(lambda: batches_seen(ingest) >= before + 3)
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
