"""`run.py demo` at a terminal, as a person runs it: the menu, something broken by hand and healed, Ctrl-C."""

import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import PROJECT, free_ports, own_environment
from tests.supervisor.waiting import attempts

pytestmark = [pytest.mark.long, pytest.mark.real]

STARTS_WITHIN, ANSWERS_WITHIN, ENDS_WITHIN = 600.0, 60.0, 120.0


class Terminal:
    """A pseudo terminal with the demo at its other end."""

    def __init__(self, home: Path) -> None:
        self.output = ""
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "run.py", "demo", "--seed", "3", "--port", str(free_ports())],
            cwd=PROJECT,
            env=own_environment(home),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509  # Ctrl-C comes from the terminal
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, pattern: str, seconds: float = ANSWERS_WITHIN) -> str:
        """What was said up to the pattern; it is not looked at again."""
        for _ in attempts(f"{pattern!r} on the terminal", seconds=seconds):
            if found := re.search(pattern, self.output):
                break
            self._read()
        text, self.output = self.output[: found.end()], self.output[found.end() :]
        return text

    def end(self, seconds: float) -> int:
        """Its exit code, while what it says is read on."""
        for _ in attempts("end of the demo", seconds=seconds):
            if self.process.poll() is not None:
                break
            self._read()
        return self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.end(ENDS_WITHIN)
        os.close(self._ours)

    def _read(self) -> None:
        if select.select([self._ours], [], [], 0.2)[0]:
            try:
                self.output += os.read(self._ours, 65536).decode(errors="replace")
            except OSError:  # nobody is at the other end any more
                return


def take_terminal() -> None:
    """Make standard input the controlling terminal of this new session."""
    os.close(os.open(os.ttyname(0), os.O_RDWR))


@pytest.fixture
def terminal(tmp_path):
    screen = Terminal(tmp_path / "home")
    yield screen
    screen.close()


def test_a_failure_is_injected_and_cleared_at_the_terminal(terminal):
    started = terminal.wait_for(r"Inject a failure: type its number", STARTS_WITHIN)
    assert "sign in" in started
    terminal.wait_for(r"this list")

    terminal.type("2\n")
    told = terminal.wait_for(r"You should see [^\r\n]+")
    terminal.type("b\n")
    broken = terminal.wait_for(r"since \d\d:\d\d:\d\d UTC")
    terminal.type("h\n")
    terminal.wait_for(r"Healed\.")
    terminal.type("b\n")
    terminal.wait_for(r"Nothing is broken\.")
    terminal.type("nonsense\n")
    terminal.wait_for(r"Break something: type its number")
    terminal.type("\x03")

    assert terminal.end(ENDS_WITHIN) == 130
    target = re.search(r": (\S+)\. You should see", told)
    assert target
    assert target[1] in broken
    assert "Stopping" in terminal.output
