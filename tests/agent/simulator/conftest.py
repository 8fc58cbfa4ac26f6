"""One simulation for a test module; every test finds it whole."""

import pytest

from tests.agent.simulator.running import EchoServer, Simulation, plan_for


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with EchoServer() as server:
        plan = plan_for(tmp_path_factory.mktemp("sim"), relay_to=("127.0.0.1", server.port))
        with Simulation(plan) as simulation:
            yield simulation


@pytest.fixture
def sim(running):
    yield running
    running.heal()
