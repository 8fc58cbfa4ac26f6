"""A volume filled to the last byte and freed: everything waits, nothing dies for good, all comes back without a hand.

PostgreSQL, Valkey, logs, counting files and keys lie on the full volume; the agents' disks have room, as on hosts of
their own. What agents send meanwhile waits with them.
"""

import errno
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest

from ispvm.supervisor.platform import responds_http
from tests import stack
from tests.supervisor.waiting import eventually

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small volume"),
]

FULL_SECONDS = 60
BACK_SECONDS = 240


@contextmanager
def volume(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir(mode=0o755, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "ispvm-test", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no volume can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Filler(threading.Thread):
    """Takes every byte that is free, and every one that becomes free."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.full = threading.Event()
        self._ended = threading.Event()

    def run(self) -> None:
        with self.path.open("ab", buffering=0) as file:
            size = 1 << 20
            while not self._ended.is_set():
                try:
                    file.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    if size > 1:
                        size //= 2
                        continue
                    self.full.set()
                    self._ended.wait(0.01)

    def free(self) -> None:
        self._ended.set()
        self.join()
        self.path.unlink()


def ask(running: stack.Stack, statement: str) -> list[tuple]:
    connection = psycopg2.connect(running.urls["DATABASE_PLATFORM_URL"], connect_timeout=3)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '5s'")
            cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()


def crash_database(running: stack.Stack) -> None:
    """Make PostgreSQL need room for its log, which it cannot do without: it ends itself with a PANIC."""
    with pytest.raises(psycopg2.OperationalError):
        connection = psycopg2.connect(superuser_url(running), connect_timeout=3)
        connection.autocommit = True
        with connection.cursor() as cursor:
            for _ in range(64):
                cursor.execute("SELECT txid_current()")
                cursor.execute("SELECT pg_switch_wal()")


def superuser_url(running: stack.Stack) -> str:
    (password,) = (running.home / "postgres").glob("superuser")
    port = running.urls["DATABASE_URL"].rsplit(":", 1)[1].split("/")[0]
    text = password.read_text(encoding="ascii").strip()
    return f"postgres://postgres:{text}@127.0.0.1:{port}/postgres"


def received(running: stack.Stack) -> int:
    return int(ask(running, "SELECT count(*) FROM ingest_batchreceipt")[0][0])


def received_or_none(running: stack.Stack) -> int | None:
    with suppress(psycopg2.Error):
        return received(running)
    return None


@pytest.fixture
def home() -> Iterator[Path]:
    base = Path(tempfile.mkdtemp(prefix="ispvm-full-"))
    base.chmod(0o755)
    with volume(base / "home", "700m") as folder, volume(folder / "demo", "200m"):
        yield folder
    shutil.rmtree(base, ignore_errors=True)


def test_everything_waits_and_comes_back(home, record_property):
    with stack.running(home) as running:
        eventually(lambda: received(running) > 20, seconds=120)
        before = received(running)
        filler = Filler(home / "filler")
        filler.start()
        assert filler.full.wait(60)
        crash_database(running)
        time.sleep(FULL_SECONDS)
        during = received_or_none(running)
        down = [name for name, works in probes(running).items() if not works]

        freed_at = time.monotonic()
        filler.free()

        times = wait_until_back(running, freed_at, during or before)
        lost = lost_batches(running)
        assert running.launcher.poll() is None

    assert lost == [0, 0, 0]
    back = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in times.items())
    record_property(
        "bar",
        f"full volume: {FULL_SECONDS} s without a free byte, down meanwhile: {', '.join(down) or 'nothing'};"
        f" after it was freed: {back}; 0 batches lost",
    )


def wait_until_back(running: stack.Stack, since: float, batches: int) -> dict[str, float]:
    """Wait for everything; answers after how many seconds each worked."""
    times = {}
    for name, works in {
        "database": lambda: received_or_none(running) is not None,
        "pages": lambda: responds_http(running.port, "/readyz"),
        "ingest": lambda: (received_or_none(running) or 0) > batches + 5,
        "tasks": lambda: tasks_run_again(running),
        "beat": lambda: b"ispvm_beat_ticking 1.0" in running.metrics()["metrics of beat"],
        "backlog gone": lambda: backlog_is_gone(running),
    }.items():
        eventually(works, seconds=BACK_SECONDS)
        times[name] = time.monotonic() - since
    return times


def lost_batches(running: stack.Stack) -> list[int]:
    """Sequences that were given up, samples that agents dropped, accepted batches without a receipt."""
    (row,) = ask(
        running,
        "SELECT coalesce(sum(sequences_skipped), 0), coalesce(sum(samples_dropped), 0),"
        " coalesce(sum(high - (SELECT count(*) FROM ingest_batchreceipt r WHERE r.stream_id = s.id"
        " AND r.sequence <= s.high)), 0) FROM ingest_stream s",
    )
    return [int(number) for number in row]


def probes(running: stack.Stack) -> dict[str, bool]:
    return {
        "database": received_or_none(running) is not None,
        "pages": responds_http(running.port, "/livez"),
        "readiness": responds_http(running.port, "/readyz"),
    }


def tasks_run_again(running: stack.Stack) -> bool:
    """Rules are evaluated every two seconds: none is late."""
    with suppress(psycopg2.Error):
        late = ask(
            running,
            "SELECT coalesce(extract(epoch FROM max(statement_timestamp() - next_due_at)), 0)"
            " FROM events_due WHERE kind = 'alerts.evaluate'",
        )
        return float(late[0][0]) < 10
    return False


def backlog_is_gone(running: stack.Stack) -> bool:
    """Agents have sent what they held, and outbox events are delivered."""
    with suppress(psycopg2.Error):
        owed = ask(running, "SELECT count(*) FROM events_outboxdelivery WHERE done_at IS NULL")
        held = ask(
            running,
            "SELECT coalesce(max((health->>'buffer_depth')::float), 0) FROM agents_agent",
        )
        return int(owed[0][0]) == 0 and int(held[0][0]) <= 2
    return False
