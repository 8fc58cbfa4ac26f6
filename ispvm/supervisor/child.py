"""One supervised process: its own session, its output, and killing its whole process group."""

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
PARENT_DEATH_SCRIPT = Path(__file__).with_name("parent_death.py")


def always() -> bool:
    return True


@dataclass(frozen=True)
class ProcessSpec:
    """A command and its readiness checks.

    `ready` is polled until it returns True; `ready_line` (a pattern) must have been printed as well.
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
    """State of a supervised process."""

    RUNNING = "running"
    WAITING = "waiting"  # died, will be restarted
    STOPPING = "stopping"
    ENDED = "ended"
    FAILED = "failed"  # restarted too often


@dataclass
class Child:
    """A supervised process and its state."""

    spec: ProcessSpec
    log: LogFile
    popen: subprocess.Popen[bytes] | None = None
    state: State = State.WAITING
    started_at: float = 0.0
    restart_at: float = 0.0
    quick_deaths: int = 0
    restarts: int = 0
    killed_on_purpose: bool = False
    has_ready_line: bool = False
    # Once it has been ready, it is restarted without limit.
    has_been_ready: bool = False
    exit_code: int = 0
    kill_at: float = 0.0
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=40))
    _incomplete: bytes = b""

    @property
    def pid(self) -> int | None:
        running = self.popen is not None and self.popen.poll() is None
        return self.popen.pid if running and self.popen else None

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process. Call it from a thread that lives as long as the supervisor:
        Linux sends the parent-death signal when the thread that forked ends.
        """
        account = self.spec.account
        wrapper = (
            *(sys.executable, "-I", "-S", str(PARENT_DEATH_SCRIPT), str(os.getpid())),
            *(str(int(self.spec.stop_signal)), f"{account.uid}:{account.gid}" if account else "-"),
        )
        popen = self.popen = subprocess.Popen(
            (*wrapper, *self.spec.argv),
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
        self.has_ready_line = self.spec.ready_line is None
        self._incomplete = b""
        return popen

    def take_output(self, data: bytes) -> list[str]:
        """Log the bytes; returns the lines completed by them."""
        self.log.write(data)
        *whole, self._incomplete = (self._incomplete + data).split(b"\n")
        if len(self._incomplete) > LONGEST_LINE:
            whole.append(self._incomplete)
            self._incomplete = b""
        lines = [line.decode("utf-8", "replace").rstrip("\r") for line in whole]
        self.last_lines.extend(lines)
        if not self.has_ready_line and self.spec.ready_line:
            self.has_ready_line = any(re.search(self.spec.ready_line, line) for line in lines)
        return lines

    def signal(self, number: signal.Signals) -> None:
        if self.popen is not None and self.popen.poll() is None:
            self.popen.send_signal(number)

    def kill_group(self) -> None:
        """SIGKILL to the whole process group (server workers outlive a killed master)."""
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
