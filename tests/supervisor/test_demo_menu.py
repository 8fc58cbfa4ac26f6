"""Breaking the real simulator by hand, line by line."""

import random

import pytest

from ispvm.supervisor.demo.menu import CHOICES, Menu, listen
from tests.agent.simulator.harness import EchoServer, SimulatorThread, options_for


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with EchoServer() as server:
        options = options_for(tmp_path_factory.mktemp("sim"), relay_to=("127.0.0.1", server.port))
        with SimulatorThread(options) as simulator:
            yield simulator


@pytest.fixture
def output() -> list[str]:
    return []


@pytest.fixture
def menu(running, output):
    yield Menu("http://{}:{}".format(*running.control), output.append, random.Random(7))
    running.heal()


def test_every_failure_can_be_injected_and_cleared(menu, output):
    for choice in CHOICES:
        menu.handle_line(choice.key)
        assert output[-1].startswith(choice.what), output[-1]
        assert "You should see" in output[-1]

    menu.handle_line("b")
    assert len(output[-1].splitlines()) == len(CHOICES) - 1  # a changed configuration is not broken
    menu.handle_line("h")
    menu.handle_line("b")
    assert output[-1] == "No failures."


def test_a_name_selects_the_target(menu, output):
    menu.handle_line("2 cr4-agg2")
    menu.handle_line("b")

    assert "cr4-agg2" in output[-1]


@pytest.mark.parametrize("line", ["2 moon", "1 cr2-agg1", "3 hub"])
def test_an_unknown_name_injects_nothing(menu, output, line):
    menu.handle_line(line)
    assert output[-1].startswith("Known names: ")
    menu.handle_line("b")

    assert output[-1] == "No failures."


def test_an_unknown_command_shows_the_list(menu, output):
    for line in ("x", "?", "11", "1;2"):
        output.clear()
        menu.handle_line(line)
        assert len(output) == len(CHOICES) + 2


def test_an_empty_line_says_nothing(menu, output):
    menu.handle_line("  \n")

    assert output == []


def test_an_unavailable_simulator_is_reported(output):
    Menu("http://127.0.0.1:9", output.append).handle_line("1")

    assert output[-1].startswith("The simulator refused it")


def test_handles_lines_in_a_thread(menu, output):
    thread = listen(menu, ["1 cr1-cr2\n", "b\n"])
    assert thread is not None
    thread.join(300)

    assert "cr1-cr2" in output[-1]
