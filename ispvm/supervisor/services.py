"""Embedded PostgreSQL and Valkey, running while at least one process uses them.

A daemon in a session of its own runs both servers and restarts them. Each process that uses them holds a
lease: a shared lock on a file, which the kernel releases when the process ends, even by SIGKILL. The
daemon stops the servers when no lease is held. So demo, tests (each xdist worker) and
`manage` share one pair of servers per data folder, and no server is left running.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from ispvm.supervisor.console import Console
from ispvm.supervisor.errors import LaunchError, explain_os_error
from ispvm.supervisor.paths import PROJECT, Home
from ispvm.supervisor.postgres import database_url, prepare_postgres, set_up_roles
from ispvm.supervisor.processes import Supervisor
from ispvm.supervisor.secrets import write_private
from ispvm.supervisor.valkey import prepare_valkey, redis_url

START_SECONDS = 90.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Running:
    """What the daemon runs, as it reports it."""

    daemon_pid: int
    postgres_port: int
    postgres_version: int
    postgres_source: str
    postgres_programs: str
    valkey_port: int


class Services:
    """A lease on the embedded servers of one data folder."""

    def __init__(self, home: Home, lease: int, running: Running, *, durable: bool) -> None:
        self.home = home
        self.durable = durable
        self.running = running
        # A descriptor, not a file object: it is meant to stay open until the process ends.
        self._lease: int | None = lease

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def urls(self) -> dict[str, str]:
        """Database and broker addresses for every role, by environment variable."""
        port = self.running.postgres_port
        return {
            "DATABASE_URL": database_url(self.home, "ispvm_app", port),
            "DATABASE_OWNER_URL": database_url(self.home, "ispvm_owner", port),
            "DATABASE_BACKUP_URL": database_url(self.home, "ispvm_backup", port),
            "DATABASE_PLATFORM_URL": database_url(self.home, "ispvm_platform", port),
            "REDIS_URL": redis_url(self.home, self.running.valkey_port),
        }

    def revive(self) -> None:
        """Start the servers again if their daemon was killed; they keep their ports."""
        with starting(self.home):
            if read_running(self.home) is None:
                self.running = start_services_daemon(self.home, durable=self.durable)

    def release(self) -> None:
        """Release the lease; the servers stop soon after the last one is released."""
        if self._lease is not None:
            os.close(self._lease)
            self._lease = None


def lease_services(home: Home, *, durable: bool = True) -> Services:
    """Take a lease on the servers of this data folder, starting them if they do not run.

    Raises LaunchError with one sentence when they cannot be started.
    """
    home.prepare()
    with starting(home):
        lease = open_lease(home)
        try:
            # Blocks only while a daemon that found no lease is stopping its servers.
            fcntl.flock(lease, fcntl.LOCK_SH)
            running = read_running(home) or start_services_daemon(home, durable=durable)
            check_source(home, running)
        except BaseException:
            os.close(lease)
            raise
    return Services(home, lease, running, durable=durable)


def check_source(home: Home, running: Running) -> None:
    requested = os.environ.get("ISPVM_POSTGRES")
    if requested and requested != running.postgres_source:
        raise LaunchError(
            f"PostgreSQL {running.postgres_version} ({running.postgres_source}) already runs in "
            f"{home.root}, but ISPVM_POSTGRES is {requested}; stop the other command first."
        )


def open_lease(home: Home) -> int:
    return os.open(home.root / "services.lease", os.O_RDWR | os.O_CREAT, 0o600)


@contextmanager
def starting(home: Home) -> Iterator[None]:
    """Lock: one process at a time checks for a daemon and starts it."""
    with (home.root / "services.start").open("w") as start:
        fcntl.flock(start, fcntl.LOCK_EX)
        yield


@contextmanager
def without_services(home: Home) -> Iterator[None]:
    """Ensure that no servers run on this data folder while the body runs.

    Raises LaunchError if another command keeps using the servers; one that has just ended is waited for.
    """
    with starting(home):
        deadline = time.monotonic() + STOP_SECONDS
        while read_running(home) is not None:
            if time.monotonic() > deadline:
                raise LaunchError(
                    f"Another command uses the servers in {home.root}; stop it first."
                )
            time.sleep(POLL_SECONDS)
        yield


def read_running(home: Home) -> Running | None:
    """What runs now; None without a daemon. Waits while one is starting or stopping."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with (home.root / "services.lock").open("a") as alive:
            try:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with contextlib.suppress(FileNotFoundError):
                    text = (home.root / "services.json").read_text(encoding="utf-8")
                    return Running(**json.loads(text))
            else:
                return None
        time.sleep(POLL_SECONDS / 5)
    raise LaunchError(
        f"The servers in {home.root} do not finish starting or stopping; see {home.logs}."
    )


def start_services_daemon(home: Home, *, durable: bool) -> Running:
    command = [sys.executable, "-m", "ispvm.supervisor", "services-daemon", str(home.root)]
    with (home.logs / "services.log").open("ab") as log:
        daemon = subprocess.Popen(
            command if durable else [*command, "--not-durable"],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    # One line, then the pipe is closed: the daemon outlives the process that started it.
    report = daemon.stdout.readline() if daemon.stdout else ""
    if daemon.stdout:
        daemon.stdout.close()
    answer = json.loads(report) if report else {}
    if "running" not in answer:
        daemon.wait()
        reason = f"The embedded servers did not start; see {home.logs / 'services.log'}."
        raise LaunchError(answer.get("problem", reason))
    # Not waited for: without a return code the destroyed Popen object would warn that it still runs.
    daemon.returncode = 0
    return Running(**answer["running"])


def run_services(root: Path, *, durable: bool) -> int:
    """Main function of the daemon; returns its exit code."""
    home = Home(root)
    home.prepare()
    with (root / "services.lock").open("a") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        try:
            with Supervisor(home.logs, Console(quiet=True)) as supervisor:
                running = start_servers(home, supervisor, durable=durable)
                write_private(root / "services.json", json.dumps(asdict(running)))
                report({"running": asdict(running)})
                wait_for_last_lease(home, supervisor)
        except LaunchError as error:
            report({"problem": str(error)})
            return 2
        except OSError as error:
            report({"problem": explain_os_error(error, root)})
            return 2
        finally:
            (root / "services.json").unlink(missing_ok=True)
    return 0


def start_servers(home: Home, supervisor: Supervisor, *, durable: bool) -> Running:
    postgres = prepare_postgres(home, durable=durable)
    valkey = prepare_valkey(home)
    supervisor.start(postgres.process())
    supervisor.start(valkey.process())
    supervisor.wait_ready("postgres", "valkey", seconds=START_SECONDS)
    set_up_roles(postgres, home)
    return Running(
        daemon_pid=os.getpid(),
        postgres_port=postgres.port,
        postgres_version=postgres.programs.major,
        postgres_source=postgres.programs.source,
        postgres_programs=str(postgres.programs.bin),
        valkey_port=valkey.port,
    )


def report(answer: dict[str, object]) -> None:
    """Report to the process that started this one, once, and close the pipe."""
    try:
        print(json.dumps(answer), flush=True)
    except BrokenPipeError:
        return  # it has ended, and its lease with it, so this daemon ends soon
    finally:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)


def wait_for_last_lease(home: Home, supervisor: Supervisor) -> None:
    """Return when no lease is held; none can be taken until this process has ended."""
    lease = open_lease(home)
    while not supervisor.failed():
        time.sleep(POLL_SECONDS)
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        # The lock is held until this process ends: never released before the servers have stopped.
        return
    raise LaunchError(supervisor.failed()[0])
