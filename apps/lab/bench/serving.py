"""The real web process over a measurement's database: gunicorn on loopback, stopped when the body ends."""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from apps.lab.bench.figures import WrongResult

LOOPBACK = "127.0.0.1"
STARTS_WITHIN_SECONDS = 60
#: Milliseconds per second.
MS = 1000.0


@dataclass(frozen=True)
class Answer:
    """A response, and its time from the first byte sent to the last received."""

    status: int
    body: bytes
    milliseconds: float


class HttpClient:
    """A client with a persistent connection."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
        self._headers = headers

    def get(self, path: str) -> Answer:
        """GET, repeated once if the server has closed the idle connection."""
        try:
            return self._send(path)
        except ConnectionError:
            self._connection.close()
            return self._send(path)

    def _send(self, path: str) -> Answer:
        began = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        return Answer(answer.status, body, (time.perf_counter() - began) * MS)


@contextmanager
def collected_files() -> Iterator[Path]:
    """A temporary home folder with collected static files; templates rendered in this process use them as well."""
    with tempfile.TemporaryDirectory(prefix="ispvm-bench-") as folder:
        home = Path(folder)
        with override_settings(STATIC_ROOT=home / "staticfiles"):
            call_command("collectstatic", interactive=False, verbosity=0)
            yield home


@dataclass(frozen=True)
class WebProcess:
    """A running web process, and its database."""

    port: int
    pid: int

    def cpu_milliseconds(self) -> dict[int, float]:
        """CPU time so far of each of its processes and of each database session, in milliseconds. Unlike elapsed time,
        it hardly depends on other load of the machine. Sessions of a database on another machine are not included.
        """
        with connection.cursor() as cursor:
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
            sessions = [pid for (pid,) in cursor.fetchall()]
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {int(pid): cpu_milliseconds_of(int(pid)) for pid in (self.pid, *children, *sessions)}


def cpu_milliseconds_of(pid: int) -> float:
    """CPU time of a process; 0 if it has ended or runs on another machine."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended, or runs elsewhere
        return 0.0
    return sum(map(int, words[11:13])) * MS / os.sysconf("SC_CLK_TCK")


@contextmanager
def web_process(
    database: str, home: Path, *, workers: int = 1, variables: Mapping[str, str] | None = None
) -> Iterator[WebProcess]:
    """A web process that serves this database with the collected files of that home; ``variables`` are added to its
    environment. Raises WrongResult if it does not start.
    """
    port = free_port()
    address = urlsplit(os.environ["DATABASE_URL"])
    environment = {
        **os.environ,
        "DATABASE_URL": urlunsplit(address._replace(path=f"/{database}")),
        "ISPVM_HOME": str(home),
        "ISPVM_PUBLIC_URL": f"http://{LOOPBACK}:{port}",
        "ISPVM_ALLOWED_HOSTS": LOOPBACK,
        **(variables or {}),
    }
    environment.pop("DATABASE_OWNER_URL", None)
    command = (
        *(sys.executable, "-m", "gunicorn", "-c", "python:ispvm.deploy.gunicorn_web"),
        *("--workers", str(workers), "--bind", f"{LOOPBACK}:{port}", "ispvm.wsgi:application"),
    )
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)  # noqa: S603  (our own words)
        try:
            _wait_for(process, port)
            yield WebProcess(port, process.pid)
        finally:
            process.terminate()
            process.wait(timeout=30)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    def responds() -> bool:
        try:
            return HttpClient(port, {}).get("/livez").status == http.client.OK
        except OSError:
            return False

    wait_until(responds, process)


def wait_until(is_ready: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process that was started. Raises WrongResult when it ends or takes too long."""
    until = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if is_ready():
            return
        time.sleep(0.2)
    raise WrongResult("A process that was started does not respond.")
