"""The demo's first story while everything is killed: each kind by itself, then all of them together.

Each case runs `run.py demo --check` with servers of its own, several minutes long. A failure prints the seed's kills.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ispvm.supervisor.demo_kills import ALL_KINDS
from ispvm.supervisor.ports import is_free

pytestmark = pytest.mark.long

PROJECT = Path(__file__).parents[2]
PORTS = 10
FOREIGN = re.compile(r"DATABASE_|REDIS_URL|ISPVM_|DJANGO_|PROMETHEUS_")


def free_ports() -> int:
    """The first of ten free ports in a row."""
    for first in range(24_000, 30_000, PORTS):
        if all(is_free(port) for port in range(first, first + PORTS)):
            return first
    raise AssertionError("No ten free ports in a row.")


@pytest.mark.parametrize(
    ("kinds", "kills", "seed"),
    [*((kind, 4, 1) for kind in ALL_KINDS), ("all", 20, 1), ("all", 20, 2)],
)
def test_the_story_is_told_right_whatever_is_killed(kinds, kills, seed, tmp_path):
    environment = {k: v for k, v in os.environ.items() if not FOREIGN.match(k)}
    command = [sys.executable, "-m", "ispvm.supervisor", "demo", "--check", "--stories", "a"]

    said = subprocess.run(
        [
            *(*command, "--kills", str(kills), "--kill-kinds", kinds, "--seed", str(seed)),
            *("--port", str(free_ports())),
        ],
        check=False,
        cwd=PROJECT,
        env={**environment, "ISPVM_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=900,
    )

    assert said.returncode == 0, said.stdout[-6000:] + said.stderr[-2000:]
    assert said.stdout.count("  killed at ") == kills
    assert f"order by seed {seed}" in said.stdout
