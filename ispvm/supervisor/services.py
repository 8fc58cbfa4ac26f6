"""PostgreSQL and Valkey for as long as somebody needs them.

A caretaker process of its own session runs both and restarts them. Whoever needs them holds a
lease: a shared lock on a file, which the kernel drops when its holder ends, however it ends. The
caretaker stops the servers when nobody holds a lease. So demo, tests (each xdist worker) and
`manage` share one pair of servers per data folder, and nothing stays behind.
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
from ispvm.supervisor.places import PROJECT, Home
from ispvm.supervisor.postgres import database_url, prepare_postgres, set_up_roles
from ispvm.supervisor.processes import Supervisor
from ispvm.supervisor.secrets import write_private
from ispvm.supervisor.valkey import prepare_valkey, redis_url

START_SECONDS = 90.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Running:
    """What the caretaker runs, as it reports it."""

    caretaker: int
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
        """Start the servers again if their caretaker was killed; they come back on the same ports."""
        with starting(self.home):
            if read_running(self.home) is None:
                self.running = start_caretaker(self.home, durable=self.durable)

    def release(self) -> None:
        """Give the lease back; the servers stop a moment later if it was the last."""
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
            # Blocks only while a caretaker that saw no lease is stopping its servers.
            fcntl.flock(lease, fcntl.LOCK_SH)
            running = read_running(home) or start_caretaker(home, durable=durable)
            check_source(home, running)
        except BaseException:
            os.close(lease)
            raise
    return Services(home, lease, running, durable=durable)


def check_source(home: Home, running: Running) -> None:
    wanted = os.environ.get("ISPVM_POSTGRES")
    if wanted and wanted != running.postgres_source:
        raise LaunchError(
            f"PostgreSQL {running.postgres_version} ({running.postgres_source}) already runs in "
            f"{home.root}, but ISPVM_POSTGRES asks for {wanted}; end the other command first."
        )


def open_lease(home: Home) -> int:
    return os.open(home.root / "services.lease", os.O_RDWR | os.O_CREAT, 0o600)


@contextmanager
def starting(home: Home) -> Iterator[None]:
    """One at a time looks for a caretaker and starts it."""
    with (home.root / "services.start").open("w") as start:
        fcntl.flock(start, fcntl.LOCK_EX)
        yield


@contextmanager
def without_services(home: Home) -> Iterator[None]:
    """Nothing runs on this data folder, and nothing is started, while the body runs.

    Raises LaunchError if somebody keeps the servers busy; just-ended commands get a moment.
    """
    with starting(home):
        deadline = time.monotonic() + STOP_SECONDS
        while read_running(home) is not None:
            if time.monotonic() > deadline:
                raise LaunchError(f"Another command uses the servers in {home.root}; end it first.")
            time.sleep(POLL_SECONDS)
        yield


def read_running(home: Home) -> Running | None:
    """What runs now; None if no caretaker is alive. Waits for one that is just coming or going."""
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
    raise LaunchError(f"The servers in {home.root} neither start nor stop; see {home.logs}.")


def start_caretaker(home: Home, *, durable: bool) -> Running:
    command = [sys.executable, "-m", "ispvm.supervisor", "caretaker", str(home.root)]
    with (home.logs / "caretaker.log").open("ab") as log:
        caretaker = subprocess.Popen(
            command if durable else [*command, "--not-durable"],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    # One line, then the pipe is closed: the caretaker outlives its starter.
    report = caretaker.stdout.readline() if caretaker.stdout else ""
    if caretaker.stdout:
        caretaker.stdout.close()
    answer = json.loads(report) if report else {}
    if "running" not in answer:
        caretaker.wait()
        reason = f"The embedded servers did not start; see {home.logs / 'caretaker.log'}."
        raise LaunchError(answer.get("trouble", reason))
    # It is left to itself from here on; the finished object would only warn that it still runs.
    caretaker.returncode = 0
    return Running(**answer["running"])


def take_care(root: Path, *, durable: bool) -> int:
    """The caretaker's whole life. Answers the process's exit code."""
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
            report({"trouble": str(error)})
            return 2
        except OSError as error:
            report({"trouble": explain_os_error(error, root)})
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
        caretaker=os.getpid(),
        postgres_port=postgres.port,
        postgres_version=postgres.programs.major,
        postgres_source=postgres.programs.source,
        postgres_programs=str(postgres.programs.bin),
        valkey_port=valkey.port,
    )


def report(answer: dict[str, object]) -> None:
    """Tell the starter, once, and let go of its pipe."""
    try:
        print(json.dumps(answer), flush=True)
    except BrokenPipeError:
        return  # it did not wait; its lease is gone too, so this ends soon
    finally:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)


def wait_for_last_lease(home: Home, supervisor: Supervisor) -> None:
    """Return when no lease is held; none can be taken from then on until this process is gone."""
    lease = open_lease(home)
    while not supervisor.failed():
        time.sleep(POLL_SECONDS)
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        # The lock stays until this process ends: it is never given back before the servers stopped.
        return
    raise LaunchError(supervisor.failed()[0])
