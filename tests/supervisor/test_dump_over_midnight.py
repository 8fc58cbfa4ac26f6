"""A dump of the database runs over midnight, when the keeper creates and drops partitions: nobody waits for it.

The clock of the platform's processes is moved so that a midnight comes soon; PostgreSQL keeps the machine's.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import psycopg2
import pytest

from apps.telemetry import partitions
from tests import stack
from tests.supervisor.test_full_volume import lost_batches, received, superuser_url
from tests.supervisor.waiting import eventually

pytestmark = pytest.mark.long

#: From now to the platform's midnight, from the dump's start to midnight, and from midnight to the dump's end.
MIDNIGHT_SECONDS, BEFORE_SECONDS, AFTER_SECONDS = 360, 20, 90
MOVED_CLOCK = """
from datetime import UTC, datetime, timedelta

import time_machine

time_machine.travel(datetime.now(UTC) + timedelta(seconds={seconds}), tick=True).start()
"""


def test_nobody_waits_for_a_dump_that_runs_over_midnight(tmp_path, record_property):
    today = datetime.now(UTC).date()
    midnight = datetime.combine(today + timedelta(days=1), datetime.min.time(), UTC)
    ahead = int((midnight - datetime.now(UTC)).total_seconds()) - MIDNIGHT_SECONDS
    (tmp_path / "sitecustomize.py").write_text(MOVED_CLOCK.format(seconds=ahead), encoding="ascii")
    home = Path(f"/tmp/ispvm-midnight-{os.getpid()}/home")
    home.parent.mkdir(mode=0o755)
    expired = today - timedelta(days=partitions.RETENTION_DAYS)
    needed = today + timedelta(days=1 + partitions.DAYS_AHEAD)
    with stack.running(home, PYTHONPATH=str(tmp_path)) as running:
        eventually(lambda: received(running) > 20, seconds=MIDNIGHT_SECONDS)
        create_partition(running, expired)
        wait_for(midnight - timedelta(seconds=BEFORE_SECONDS + ahead))
        with stuck_dump(running, tmp_path / "dump"):
            wait_for(midnight - timedelta(seconds=ahead))
            before = received(running)
            os.kill(running.pids("keeper")["keeper"], signal.SIGKILL)  # the next one works at once
            with Pause(running) as pause:
                eventually(lambda: exists(running, needed))
                time.sleep(AFTER_SECONDS)
            batches = received(running) - before
            assert exists(running, expired), "the dump locks it"
            assert samples_since(running, midnight) > 0
        ended_at = time.monotonic()
        eventually(lambda: not exists(running, expired))
        dropped_after = time.monotonic() - ended_at

        assert batches > AFTER_SECONDS / 10
        assert lost_batches(running) == [0, 0, 0]
        assert running.launcher.poll() is None

    record_property(
        "bar",
        f"dump over midnight: {batches} batches in {AFTER_SECONDS} s beside it, longest pause"
        f" {pause.longest:.0f} s; the new day's partition was created beside it, the expired one dropped"
        f" {dropped_after:.0f} s after it; 0 batches lost",
    )


def wait_for(moment: datetime) -> None:
    """Raises AssertionError if it has passed: the platform took too long to start."""
    seconds = (moment - datetime.now(UTC)).total_seconds()
    assert seconds > 0
    time.sleep(seconds)


@contextmanager
def stuck_dump(running: stack.Stack, pipe: Path) -> Iterator[None]:
    """pg_dump of everything into a pipe that nobody reads: it keeps its locks until it is killed."""
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    (postmaster,) = running.home.glob("postgres/pg*/postmaster.pid")
    server = Path(f"/proc/{postmaster.read_text().split()[0]}/exe").resolve()
    dump = subprocess.Popen(
        [str(server.with_name("pg_dump")), f"--file={pipe}", platform_url(running)],
        stderr=subprocess.PIPE,
    )
    try:
        eventually(lambda: dump.poll() is not None or is_dumping(running))
        assert dump.poll() is None, dump.stderr.read() if dump.stderr else ""
        yield
        assert dump.poll() is None, "the dump ended too early to show anything"
    finally:
        os.close(reader)
        dump.kill()
        dump.communicate()


def platform_url(running: stack.Stack) -> str:
    """The platform's database, as the server's superuser."""
    name = running.urls["DATABASE_URL"].rsplit("/", 1)[1]
    return f"{superuser_url(running).rsplit('/', 1)[0]}/{name}"


@contextmanager
def session(url: str) -> Iterator[Any]:
    """A cursor whose statements are transactions of their own."""
    connection = psycopg2.connect(url, connect_timeout=5)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def create_partition(running: stack.Stack, day: date) -> None:
    with session(running.urls["DATABASE_OWNER_URL"]) as cursor:
        cursor.execute(
            partitions._CREATE_PARTITION.format(
                name=partitions.name_of(day), parent=partitions.PARENT
            ),
            [f"{day}Z", f"{day + timedelta(days=1)}Z"],
        )


def exists(running: stack.Stack, day: date) -> bool:
    with session(running.urls["DATABASE_OWNER_URL"]) as cursor:
        cursor.execute("SELECT to_regclass(%s)", [partitions.name_of(day)])
        return cursor.fetchone()[0] is not None


def is_dumping(running: stack.Stack) -> bool:
    with session(running.urls["DATABASE_OWNER_URL"]) as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE a.application_name = 'pg_dump' AND l.granted"
            " AND l.relation = 'telemetry_sample'::regclass"
        )
        return bool(cursor.fetchone()[0])


def samples_since(running: stack.Stack, moment: datetime) -> int:
    """In the new day's partition; the tables' policies hide all from their owner, too."""
    with session(platform_url(running)) as cursor:
        cursor.execute("SELECT count(*) FROM telemetry_sample WHERE ts >= %s", [moment])
        return int(cursor.fetchone()[0])


class Pause(threading.Thread):
    """Measures the longest time without a new batch."""

    def __init__(self, running: stack.Stack) -> None:
        super().__init__(daemon=True)
        self.running, self.longest, self._ended = running, 0.0, threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        number, since = received(self.running), time.monotonic()
        while not self._ended.wait(0.5):
            self.longest = max(self.longest, time.monotonic() - since)
            if (now := received(self.running)) != number:
                number, since = now, time.monotonic()
