"""`python -m agent.simulator` as a user or a supervisor runs it, and its persistent state."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.simulator.cli import main, names
from agent.simulator.client import ControlError, request
from agent.simulator.generator import generate_blueprint
from agent.simulator.state import StateError, StateFile
from tests.agent.simulator.harness import TIMEOUT_SECONDS, free_port
from tests.supervisor.waiting import attempts

PROJECT = Path(__file__).parents[3]


def command(state_dir: Path, control: int, *, seed: int = 1, api: int | None = None) -> list[str]:
    return [
        *(sys.executable, "-m", "agent.simulator", "serve", "--seed", str(seed)),
        *("--state-dir", str(state_dir), "--control", f"127.0.0.1:{control}"),
        *("--relay-listen", f"127.40.0.1:{free_port('127.40.0.1')}", "--relay-to", "127.0.0.1:1"),
        *("--api-port", str(api or free_port()), "--echo-port", str(free_port())),
    ]


@contextmanager
def serving(argv: list[str], control: int):
    process = subprocess.Popen(
        argv, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        wait_until_answering(control)
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until_answering(control: int) -> None:
    for _ in attempts("the control port answering"):
        with suppress(ControlError):
            request(("127.0.0.1", control), "GET", "/topology")
            return


def run(argv: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        argv, cwd=PROJECT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )


class TestServe:
    def test_kill_9_loses_neither_failures_nor_history(self, tmp_path):
        control = free_port("127.0.0.1")
        argv = command(tmp_path / "state", control)
        address = ("127.0.0.1", control)
        with serving(argv, control) as process:
            cut = {"kind": "link_cut", "link": "cr2-agg1"}
            request(address, "POST", "/failures", cut)
            request(address, "DELETE", "/failures")
            failure = request(address, "POST", "/failures", cut)
            process.kill()
            process.wait(TIMEOUT_SECONDS)
        before = json.loads((tmp_path / "state/network.json").read_text())
        assert before["records"]["link/cr2-agg1"]["downs"] == 2
        with serving(argv, control) as process:
            assert request(address, "GET", "/failures") == [failure]
            assert request(address, "GET", "/truth")["reachable"]["agent-core"]["bng1"] is False
            assert json.loads((tmp_path / "state/network.json").read_text()) == before
            request(address, "DELETE", f"/failures/{failure['id']}")
            second = request(address, "POST", "/failures", cut)
            assert second["id"] != failure["id"]
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
            assert process.returncode == 0
        messages = [line.split(" ", 1)[1] for line in output.splitlines()[2:-1]]
        assert messages == [
            f"healed: link cr2-agg1 ({failure['id']})",
            f"broken: link cr2-agg1 ({second['id']})",
        ]

    def test_a_port_in_use_is_reported_in_one_line(self, tmp_path):
        with socket.socket() as busy:
            busy.bind(("127.20.0.3", 0))
            busy.listen()
            port = busy.getsockname()[1]
            process = run(command(tmp_path, free_port("127.0.0.1"), api=port))
        assert process.returncode == 1
        assert process.stderr == (
            f"Port {port} on 127.20.0.3 is in use; end what uses it or choose another.\n"
        )


class TestState:
    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "null", '{"seed": 1}', '{"seed": 1, "began_at": 7}']
    )
    def test_a_damaged_file_is_reported(self, tmp_path, text):
        file = StateFile(tmp_path)
        file.path.write_text(text)
        with pytest.raises(StateError, match="damaged"):
            file.load(generate_blueprint(1), now=None)

    def test_a_file_of_another_seed_is_refused(self, tmp_path):
        file = StateFile(tmp_path)
        file.path.write_text('{"seed": 2}')
        with pytest.raises(StateError, match="seed 2"):
            file.load(generate_blueprint(1), now=None)

    def test_an_unusable_folder_is_reported(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(StateError, match="cannot be read"):
            StateFile(tmp_path / "file").load(generate_blueprint(1), now=None)


class TestClient:
    @pytest.fixture
    def at(self, sim):
        host, port = sim.control
        return ["--control", f"{host}:{port}"]

    @pytest.mark.parametrize("what", ["topology", "truth", "links"])
    def test_shows_documents(self, at, capsys, what):
        assert main([what, *at]) == 0
        assert json.loads(capsys.readouterr().out)

    def test_cuts_and_heals_links(self, sim, at, capsys):
        assert main(["cut", "cr1-cr2", *at]) == 0
        first = json.loads(capsys.readouterr().out)
        assert main(["cut", "cr2-cr3", *at]) == 0
        assert main(["heal", first["id"], *at]) == 0
        assert [failure["link"] for failure in sim.request("GET", "/failures")] == ["cr2-cr3"]
        assert main(["heal", *at]) == 0
        assert sim.request("GET", "/failures") == []

    @pytest.mark.parametrize("words", [["cut", "cr1-moon"], ["heal", "f/../9"]])
    def test_shows_refusals_in_one_line(self, at, capsys, words):
        assert main([*words, *at]) == 1
        assert capsys.readouterr().err.startswith("No such")

    def test_reports_that_no_simulator_runs(self, capsys):
        port = free_port("127.0.0.1")
        assert main(["links", "--control", f"127.0.0.1:{port}"]) == 1
        assert capsys.readouterr().err == f"No simulator responds at 127.0.0.1:{port}.\n"

    @pytest.mark.parametrize(
        ("text", "expected"), [("acc1,er1", ("acc1", "er1")), ("", ()), ("cr4", ("cr4",))]
    )
    def test_names_the_routers_of_version_6(self, text, expected):
        assert names(text) == expected

    def test_refuses_unknown_routers(self):
        with pytest.raises(argparse.ArgumentTypeError, match=r"unknown router acc9, moon$"):
            names("moon,cr1,acc9")

    @pytest.mark.parametrize(
        "address", ["8002", "127.0.0.1:", "127.0.0.1:99999", "0.0.0.0:80", "example.com:80", ":80"]
    )
    def test_requires_a_loopback_address(self, address, capsys):
        with pytest.raises(SystemExit):
            main(["links", "--control", address])
        assert "--control" in capsys.readouterr().err


def test_the_process_needs_no_environment_variables(tmp_path):
    process = subprocess.run(
        [sys.executable, "-m", "agent.simulator", "--help"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0
    assert "serve" in process.stdout
