"""One supervised process: its own session, its output, and an end that takes its whole group along."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ispvm.supervisor.account import Account
from ispvm.supervisor.console import LogFile

LONGEST_LINE = 16 * 1024
TETHER = Path(__file__).with_name("tether.py")


def always() -> bool:
    return True


@dataclass(frozen=True)
class ProcessSpec:
    """What to run and how to know that it works.

    `ready` is asked until it says yes; `ready_line` (a pattern) must have been printed as well.
    Processes of a higher `stage` are stopped first.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    ready: Callable[[], bool] = always
    ready_line: str | None = None
    stage: int = 0
    restart: bool = True
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    account: Account | None = None


class State(Enum):
    """Where a supervised process stands."""

    RUNNING = "running"
    WAITING = "waiting"  # died, will be started again
    STOPPING = "stopping"
    ENDED = "ended"
    FAILED = "failed"  # died too often


@dataclass
class Child:
    """A process that was started, with what the supervisor remembers about it."""

    spec: ProcessSpec
    log: LogFile
    popen: subprocess.Popen[bytes] | None = None
    state: State = State.WAITING
    started_at: float = 0.0
    start_again_at: float = 0.0
    quick_deaths: int = 0
    restarts: int = 0
    killed_on_purpose: bool = False
    line_seen: bool = False
    # It has worked before: then it is started again for ever, whatever it dies of.
    has_been_ready: bool = False
    exit_code: int = 0
    kill_at: float = 0.0
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=40))
    _rest: bytes = b""

    @property
    def pid(self) -> int | None:
        running = self.popen is not None and self.popen.poll() is None
        return self.popen.pid if running and self.popen else None

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process. Must be called by a thread that lives as long as the supervisor:
        Linux sends the parent-death signal when the thread that forked ends.
        """
        account = self.spec.account
        tether = (
            *(sys.executable, "-I", "-S", str(TETHER), str(os.getpid())),
            *(str(int(self.spec.stop_signal)), f"{account.uid}:{account.gid}" if account else "-"),
        )
        popen = self.popen = subprocess.Popen(
            (*tether, *self.spec.argv),
            env=dict(self.spec.env),
            cwd=self.spec.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        self.state = State.RUNNING
        self.started_at = time.monotonic()
        self.killed_on_purpose = False
        self.line_seen = self.spec.ready_line is None
        self._rest = b""
        return popen

    def take_output(self, data: bytes) -> list[str]:
        """Log the bytes; answer the lines that are complete with them."""
        self.log.write(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            whole.append(self._rest)
            self._rest = b""
        lines = [line.decode("utf-8", "replace").rstrip("\r") for line in whole]
        self.last_lines.extend(lines)
        if not self.line_seen and self.spec.ready_line:
            self.line_seen = any(re.search(self.spec.ready_line, line) for line in lines)
        return lines

    def signal(self, number: signal.Signals) -> None:
        if self.popen is not None and self.popen.poll() is None:
            self.popen.send_signal(number)

    def kill_group(self) -> None:
        """SIGKILL to the process and everything it started (server workers outlive a killed master)."""
        if self.popen is not None:
            kill_group(self.popen.pid)


def kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def describe_exit(code: int) -> str:
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"
