"""One simulator per test module; all failures are healed after each test."""

import pytest

from tests.agent.simulator.harness import EchoServer, SimulatorThread, options_for


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with EchoServer() as server:
        options = options_for(tmp_path_factory.mktemp("sim"), relay_to=("127.0.0.1", server.port))
        with SimulatorThread(options) as simulator:
            yield simulator


@pytest.fixture
def sim(running):
    yield running
    running.heal()
