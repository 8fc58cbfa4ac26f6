"""The whole platform as the demo runs it, for a test: processes, agents, routers, logs and files."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import psycopg2

from ispvm.supervisor.paths import Home
from ispvm.supervisor.platform import METRICS_LISTENERS
from ispvm.supervisor.services import lease_services
from tests import slots
from tests.supervisor.waiting import HANG_SECONDS, attempts, eventually

PROJECT = Path(__file__).parents[1]
PORTS = 10
FOREIGN = re.compile(r"DATABASE_|REDIS_URL|ISPVM_|DJANGO_|PROMETHEUS_")
START_SECONDS = 600


def free_ports() -> int:
    """The first of ten consecutive free ports."""
    return slots.free_ports(PORTS)


def own_environment(home: Path) -> dict[str, str]:
    """This process' environment without the tests' servers."""
    environment = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
    return {**environment, "ISPVM_HOME": str(home)}


@dataclass(frozen=True)
class Stack:
    home: Path
    port: int
    launcher: subprocess.Popen[bytes]
    urls: dict[str, str]

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def receiver_port(self) -> int:
        return self.port + 3

    @property
    def token(self) -> str:
        return (self.home / "demo/api.token").read_text(encoding="ascii").strip()

    @property
    def agents(self) -> list[Path]:
        return sorted(path.parent for path in self.home.glob("demo/agent-*/agent.json"))

    def logs(self) -> dict[str, bytes]:
        return {f"log of {path.stem}": path.read_bytes() for path in self.home.glob("logs/*.log*")}

    def metrics(self) -> dict[str, bytes]:
        """The metrics of each process: web at its own address, the others at consecutive ports."""
        ports = {"web": self.port} | {
            name: self.port + 5 + number for number, name in enumerate(METRICS_LISTENERS)
        }
        return {f"metrics of {name}": self._read_metrics(port) for name, port in ports.items()}

    def _read_metrics(self, port: int) -> bytes:
        """Retried while a process restarts."""
        url = f"http://127.0.0.1:{port}/metrics"
        for _ in attempts(f"{url} answering", pause=0.5):
            with suppress(OSError), urlopen(url, timeout=HANG_SECONDS) as answer:
                return bytes(answer.read())
        raise AssertionError

    def agents_disks(self, *, but: tuple[str, ...]) -> dict[str, bytes]:
        """Every file of every agent, except those with these names."""
        return {
            f"disk of {folder.name}: {path.relative_to(folder)}": path.read_bytes()
            for folder in self.agents
            for path in folder.rglob("*")
            if path.is_file() and path.name not in but
        }

    def pids(self, *names: str) -> dict[str, int]:
        """Process ids that processes have announced in the database (apps.events.processes)."""
        connection = psycopg2.connect(self.urls["DATABASE_PLATFORM_URL"], connect_timeout=5)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(
                    "SELECT DISTINCT ON (kind) kind, pid FROM events_process WHERE kind = ANY(%s)"
                    " ORDER BY kind, started_at DESC",
                    [list(names)],
                )
                return dict(cursor.fetchall())
        finally:
            connection.close()

    def command_lines(self) -> bytes:
        """Command lines of the platform's processes, which any account of the machine may read."""
        lines = [_command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
        mine = [line for line in lines if str(PROJECT).encode() in line]
        assert len(mine) >= len(METRICS_LISTENERS)
        return b"\n".join(lines)


def _command_line(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


@contextmanager
def running(home: Path, **variables: str) -> Iterator[Stack]:
    """With additional environment variables."""
    port, output_file = free_ports(), home.with_suffix(".log")
    with output_file.open("wb") as output:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "ispvm.supervisor", "demo", "--port", str(port)],
            cwd=PROJECT,
            env={**own_environment(home), **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(
            lambda: (
                launcher.poll() is not None or b"Everything runs after" in output_file.read_bytes()
            ),
            seconds=START_SECONDS,
        )
        assert launcher.poll() is None, output_file.read_text(errors="replace")[-3000:]
        with lease_services(Home(home)) as services:
            yield Stack(home, port, launcher, services.urls())
    finally:
        launcher.send_signal(signal.SIGTERM)
        launcher.wait(120)
