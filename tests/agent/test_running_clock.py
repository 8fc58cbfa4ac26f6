"""The times of samples while the host's clock is set: they keep their distances."""

import gzip
import json
import random
import threading
from datetime import datetime

import pytest

from agent import samples
from agent.buffer.batch_writer import BatchWriter
from agent.buffer.record import BatchHeader
from agent.buffer.store import Buffer
from agent.samples import Event, PollResult, Sample, now
from agent.transport.push import FORMER_BOOT_SECONDS, Pusher
from apps.telemetry.store import LATE_AFTER

DEVICE = "11111111-1111-4111-8111-111111111111"


class HostClock:
    """The host's clock, which a time service sets."""

    def __init__(self, monkeypatch) -> None:
        self.error = 0.0
        real = samples.time.time
        monkeypatch.setattr(samples.time, "time", lambda: real() + self.error)


@pytest.fixture
def host_clock(monkeypatch) -> HostClock:
    return HostClock(monkeypatch)


@pytest.fixture
def writer(tmp_path) -> BatchWriter:
    return BatchWriter(Buffer(tmp_path / "buffer"), agent_id=DEVICE)


class NotingClient:
    """Notes what the pusher reports, and acknowledges everything."""

    def __init__(self) -> None:
        self.buffered: list[float] = []

    def batch(self, _body: bytes, buffered_seconds: float):
        self.buffered.append(buffered_seconds)
        return type("Result", (), {"rejected": []})()


def read(writer: BatchWriter) -> tuple[datetime, list[datetime]]:
    """``sent_at`` and the times of the items of the oldest batch."""
    body = json.loads(gzip.decompress(writer._buffer.peek().body))
    items = [*body["metrics"], *body["events"]]
    return datetime.fromisoformat(body["sent_at"]), [
        datetime.fromisoformat(row["ts"]) for row in items
    ]


@pytest.mark.parametrize("error", [-3600.0, -61.0, 61.0, 3600.0])
def test_a_step_between_measurement_and_batch_is_not_inside_the_batch(writer, host_clock, error):
    first = Sample(now() - 10, "device.up", DEVICE, 1.0, "probe")
    event = Event(now() - 10, "device.rebooted", "device", DEVICE, {})
    host_clock.error = error
    second = Sample(now() - 5, "device.up", DEVICE, 0.0, "probe")
    writer.put(PollResult((first, second), (event,)))
    writer.flush()

    sent_at, (first_at, second_at, event_at) = read(writer)

    assert (sent_at - first_at).total_seconds() == pytest.approx(10, abs=1)
    assert (second_at - first_at).total_seconds() == pytest.approx(5, abs=0.01)
    assert event_at == first_at
    assert sent_at.timestamp() == pytest.approx(samples.time.time(), abs=1), "by the host's clock"


@pytest.mark.parametrize("error", [-3600.0, 3600.0])
def test_the_time_in_the_buffer_does_not_depend_on_the_host_s_clock(writer, host_clock, error):
    writer.put(PollResult((Sample(now(), "device.up", DEVICE, 1.0, "probe"),)))
    writer.flush()
    host_clock.error = error

    assert push(writer, writer.boot_id) == pytest.approx(0, abs=5)


@pytest.mark.parametrize("age", [-3600.0, 0.0, 5.0])
def test_a_batch_of_a_former_boot_is_never_about_the_present(writer, age):
    """A host without a battery starts in the past: then the batch seems to be of the future."""
    writer.put(PollResult((Sample(now(), "device.up", DEVICE, 1.0, "probe"),)))
    writer.flush()
    stored = writer._buffer.peek()
    writer._buffer.acknowledge(stored.header)
    header = BatchHeader(stored.header.batch_id, "former", 1, 1, now() - age)
    writer._buffer.append(header, stored.body)

    assert push(writer, writer.boot_id) >= FORMER_BOOT_SECONDS > LATE_AFTER.total_seconds()


def push(writer: BatchWriter, boot_id: str) -> float:
    client = NotingClient()
    pusher = Pusher(
        writer._buffer,
        client,
        threading.Event(),
        random.Random(1),
        lambda: None,
        boot_id=boot_id,
    )
    pusher.run_once()
    return client.buffered[0]
