"""Stories of the demo while everything is killed, 200 times: each of its processes, PostgreSQL's and Valkey.

`run.py demo --check` on servers of its own plays them undisturbed first, then under kills, on the same draws: the
check compares every verdict with the simulator's truth and with that of the first round. Each kill waits until the last
victim is back, so that it takes as long as the machine needs; a failure prints the seed and the kills.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from apps.lab.demo.receiver_log import (
    about,
    changed_repeats,
    duplicate_sequences,
    missing_sequences,
    read_log,
)
from ispvm.supervisor.demo.kills import ALL_KINDS
from tests.stack import PROJECT, free_ports, own_environment

pytestmark = pytest.mark.long

KILLED = re.compile(r"^  killed at +[0-9.]+ s: (\S+)", re.MULTILINE)
KILLS, STORIES = 200, "b,h,g,l"
#: Which worker a kill of that kind takes, chance decides.
VICTIMS = ["worker-deliver" if kind == "deliver" else kind for kind in ALL_KINDS]
SEED = int(os.environ.get("ISPVM_SEED", "1"))


def play(home: Path) -> str:
    """What the demo said. Fails with it where a story was told wrong."""
    output = subprocess.run(
        [
            *(sys.executable, "-m", "ispvm.supervisor", "demo", "--check", "--scenarios", STORIES),
            *("--kills", str(KILLS), "--compare", "--kill-kinds", "all"),
            *("--seed", str(SEED), "--port", str(free_ports())),
        ],
        check=False,
        cwd=PROJECT,
        env=own_environment(home),
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert output.returncode == 0, output.stdout[-20_000:] + output.stderr[-2000:]
    return output.stdout


def test_200_kills_lose_or_duplicate_no_event_and_change_no_verdict(tmp_path, record_property):
    output = play(tmp_path / "home")

    killed = Counter(re.sub(r"^agent-.*", "agent", name) for name in KILLED.findall(output))
    assert killed.total() == KILLS
    assert set(killed) == set(VICTIMS)
    # A kill of a worker may fall on either of the two.
    assert min(killed.values()) >= KILLS // (4 * len(VICTIMS))
    rows = read_log(tmp_path / "home" / "demo" / "receiver.jsonl")
    assert all(row.verified for row in rows)
    assert changed_repeats(rows) == []
    incidents = {row.incident["id"] for row in rows if row.incident}
    for incident_id in incidents:
        delivered = about(rows, incident_id)
        assert (missing_sequences(delivered), duplicate_sequences(delivered)) == ([], []), (
            incident_id
        )
    events = len({row.event_id for row in rows})
    each = ", ".join(f"{name} {number}" for name, number in sorted(killed.items()))
    record_property(
        "bar",
        f"kill matrix: {killed.total()} kills ({each}), seed {SEED}; {len(incidents)} incidents,"
        f" {events} events, 0 lost, {len(rows) - events} repeats, all with the same bytes;"
        " 0 verdicts differ",
    )
