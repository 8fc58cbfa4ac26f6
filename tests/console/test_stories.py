"""The demo's stories, whole: every process, killed at random, in a data folder of their own. Minutes long."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from apps.console.demo.stories import STORIES

PROJECT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.real
@pytest.mark.parametrize(
    "options",
    [("--stories", ",".join(STORIES)), ("--stories", "b", "--kills", "20")],
    ids=["all stories", "twenty kills"],
)
def test_told_right_with_a_seed_that_nobody_chose(tmp_path, options):
    seed = random.SystemRandom().randrange(1_000_000)
    told = subprocess.run(
        [
            *(sys.executable, "run.py", "demo", "--check", "--seed", str(seed)),
            *("--port", "18960", *options),
        ],
        cwd=PROJECT,
        env={**_outside_the_tests(), "ISPVM_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )

    assert told.returncode == 0, f"seed {seed}\n{told.stdout[-8000:]}"


def _outside_the_tests() -> dict[str, str]:
    """The environment without what the test servers added."""
    own = ("ISPVM_", "DATABASE_", "REDIS_", "DJANGO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


def test_every_story_says_what_it_plays():
    assert all(story.name and story.key == key for key, story in STORIES.items())
