"""From a token to stored samples: the real agent against the real ingest application over TLS."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.buffer.store import Buffer
from agent.prometheus import HELP
from agent.runtime import Runtime
from agent.state import StateDir
from apps.agents.models import Agent
from apps.ingest.models import BatchReceipt, Stream
from apps.inventory import services as inventory
from apps.telemetry.models import Series
from apps.tenancy import acting_in
from apps.vault.services import store_credential_set
from tests.agent.conftest import ACTOR
from tests.agent.echo import Echo
from tests.agent.fake_router import MENUS, PASSWORD, FakeRouter
from tests.inventory.factories import AT
from tests.supervisor.waiting import eventually


@pytest.fixture
def echo():
    instance = Echo("127.0.0.1")
    yield instance
    instance.close()


def probe(device, echo: Echo) -> None:
    inventory.create_probe_target(
        name="echo",
        device=device,
        method="udp_echo",
        address=echo.address,
        port=echo.port,
        interval_seconds=1,
        count=3,
        timeout_seconds=0.3,
        actor=ACTOR,
        at=AT,
    )


def test_probes_flow_from_a_token_to_stored_samples(ingest, echo, tmp_path: Path):
    token, device = ingest.token()
    with acting_in(ingest.tenant):
        probe(device, echo)
    state = tmp_path / "state"
    assert main(["enroll", "--token", token, "--state-dir", str(state)]) == 0

    command = [sys.executable, "-m", "agent", "run", "--state-dir", str(state)]
    process = subprocess.Popen(
        [*command, "--source-address", "127.0.0.9"], stdout=subprocess.PIPE, text=True
    )
    try:
        eventually(lambda: names(ingest) >= {"device.up", "probe.ping.rtt_ms", "agent.up"})
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=300)

    assert process.returncode == 0, output
    assert "agent_stopped" in output
    assert set(echo.sources) == {"127.0.0.9"}
    with acting_in(ingest.tenant):
        agent = Agent.objects.get()
        assert agent.last_heartbeat_at is not None
        assert agent.sealing_public_key is not None
    assert main(["status", "--state-dir", str(state)]) == 0


def names(ingest) -> set[str]:
    with acting_in(ingest.tenant):
        return set(Series.objects.values_list("metric", flat=True))


def test_files_of_an_agent_are_readable_by_its_account_only(ingest, tmp_path: Path):
    token, _ = ingest.token()
    old = os.umask(0)
    try:
        assert main(["enroll", "--token", token, "--state-dir", str(tmp_path / "state")]) == 0
    finally:
        os.umask(old)

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    assert set(modes) == {"agent.json", "ca.pem", "identity.pem", "sealing.key", "lock"}
    assert set(modes.values()) == {0o600}
    assert StateDir(tmp_path / "state").enrollment().url == ingest.url


@contextmanager
def running(state: Path) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "run", "--state-dir", str(state)],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_polling_continues_through_outages_and_kill_9(ingest, tmp_path: Path):
    """The server is down, the agent is killed, both restart: no batch that was on disk is lost."""
    router = FakeRouter(dict(MENUS))
    with acting_in(ingest.tenant):
        login = store_credential_set(
            name="r", kind="routeros_api", username="mon", secret=PASSWORD, actor=ACTOR, at=AT
        )
    token, _ = ingest.token(
        management_address="127.0.0.1",
        api_port=router.port,
        api_tls=False,
        credential_set=login,
        polling_profile={"fast_s": 1},
    )
    state = tmp_path / "state"
    assert main(["enroll", "--token", token, "--state-dir", str(state)]) == 0
    with running(state):
        eventually(
            lambda: names(ingest) >= {"interface.oper_up", "bgp.peer.state", "device.cpu_pct"}
        )
        ingest.server.refuse = lambda *_: (503, [], b"{}")
        before = batches_received(ingest)
        eventually(lambda: batches_received(ingest) >= before + 2)
    ingest.server.refuse = lambda *_: None
    with running(state):
        eventually(lambda: boots(ingest) == 2)
        eventually(lambda: not list(state.glob("buffer/*.segment"))[1:])
    router.close()

    with acting_in(ingest.tenant):
        for stream in Stream.objects.all():
            assert (stream.ahead, stream.sequences_skipped, stream.samples_dropped) == ([], 0, 0)
            assert stream.high == BatchReceipt.objects.filter(stream=stream).count()
        assert set(BatchReceipt.objects.values_list("rejected", flat=True)) == {0}
    assert router.logins == 2, "one for each start"
    assert not (state / "buffer" / "quarantine").exists()
    for path in state.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes()


def batches_received(ingest) -> int:
    return sum(path.endswith("/batch") for _, path, _ in ingest.server.requests)


def boots(ingest) -> int:
    with acting_in(ingest.tenant):
        return Stream.objects.count()


def test_a_filling_buffer_is_reported_once(ingest, tmp_path: Path, monkeypatch):
    token, _ = ingest.token()
    state = tmp_path / "state"
    assert main(["enroll", "--token", token, "--state-dir", str(state)]) == 0
    runtime = Runtime(StateDir(state))
    assert set(runtime.metrics()) == set(HELP) - {"agent_devices"}
    events = []
    monkeypatch.setattr(runtime.batch_writer, "put", lambda result: events.extend(result.events))
    runtime.buffer.max_bytes = 100
    for size in (10, 60, 30, 20):
        monkeypatch.setattr(Buffer, "size", property(lambda _self, size=size: size))
        runtime._check_buffer()

    assert [(event.event_type, event.payload["state"]) for event in events] == [
        ("agent.buffer.high", "open"),
        ("agent.buffer.high", "closed"),
    ]
