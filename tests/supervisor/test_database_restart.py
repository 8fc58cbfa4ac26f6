"""PostgreSQL is away for longer than any process tries in a row, and comes back: so does everything, without a hand."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests import stack
from tests.supervisor.test_full_volume import (
    lost_batches,
    received,
    received_or_none,
    wait_until_back,
)
from tests.supervisor.waiting import eventually

pytestmark = pytest.mark.long

AWAY_SECONDS = 90


def test_everything_comes_back_after_the_database(tmp_path_factory, record_property):
    home = Path(f"/tmp/ispvm-restart-{os.getpid()}/home")
    home.parent.mkdir(mode=0o755)
    with stack.running(home) as running:
        eventually(lambda: received(running) > 20, seconds=120)
        before = received(running)
        pids = running.pids("beat", "keeper", "worker")
        (control,) = home.glob("postgres/pg*/global/pg_control")
        hidden = control.with_name("hidden")
        control.rename(hidden)  # it cannot start without it
        os.kill(int((control.parents[1] / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
        eventually(lambda: received_or_none(running) is None)
        time.sleep(AWAY_SECONDS)
        assert received_or_none(running) is None

        hidden.rename(control)
        back_at = time.monotonic()
        times = wait_until_back(running, back_at, before)

        assert lost_batches(running) == [0, 0, 0]
        survivors = [name for name, pid in running.pids(*pids).items() if pids[name] == pid]
        assert running.launcher.poll() is None

    assert set(survivors) == set(pids)
    told = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in times.items())
    record_property(
        "bar",
        f"PostgreSQL away for {AWAY_SECONDS} s: back after {told}; 0 batches lost;"
        f" the same processes of {', '.join(sorted(survivors))}",
    )
