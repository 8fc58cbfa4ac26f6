"""From a token to stored samples: the real agent against the real ingest application over TLS."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.state import StateDir
from apps.agents.models import Agent
from apps.inventory import services as inventory
from apps.telemetry.models import Series
from apps.tenancy import acting_in
from tests.agent.conftest import ACTOR
from tests.agent.echo import Echo
from tests.inventory.factories import AT
from tests.supervisor.waiting import eventually


@pytest.fixture
def echo():
    made = Echo("127.0.0.1")
    yield made
    made.close()


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
        output, _ = process.communicate(timeout=10)

    assert process.returncode == 0, output
    assert "agent stopped" in output
    assert set(echo.sources) == {"127.0.0.9"}
    with acting_in(ingest.tenant):
        agent = Agent.objects.get()
        assert agent.last_heartbeat_at is not None
        assert agent.sealing_public_key is not None
    assert main(["status", "--state-dir", str(state)]) == 0


def names(ingest) -> set[str]:
    with acting_in(ingest.tenant):
        return set(Series.objects.values_list("metric", flat=True))


def test_files_of_an_agent_are_its_own(ingest, tmp_path: Path):
    token, _ = ingest.token()
    old = os.umask(0)
    try:
        assert main(["enroll", "--token", token, "--state-dir", str(tmp_path / "state")]) == 0
    finally:
        os.umask(old)

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    assert set(modes) == {"agent.json", "ca.pem", "identity.pem", "sealing.key", "lock"}
    assert set(modes.values()) == {0o600}
    assert StateDir(tmp_path / "state").membership().url == ingest.url
