"""The demo's stories, whole: every process, killed at random, in a data folder of their own. Minutes long."""

import os
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.simulator.documents import topology
from agent.simulator.generator import generate_blueprint
from apps.lab.demo.check import StoryResult, changed_verdicts, table
from apps.lab.demo.receiver_log import Received, duplicate_sequences
from apps.lab.demo.report import Report, Timing
from apps.lab.demo.stories import ALL_GROUPS, STORIES, Context, parse_groups

PROJECT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.real
@pytest.mark.parametrize(
    "options",
    [("--all",), ("--scenarios", "b", "--kills", "20")],
    ids=["all scenarios", "twenty kills"],
)
def test_passes_with_a_random_seed(tmp_path, options):
    seed = random.SystemRandom().randrange(1_000_000)
    done = subprocess.run(
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

    assert done.returncode == 0, f"seed {seed}\n{done.stdout[-8000:]}"


def _outside_the_tests() -> dict[str, str]:
    """The environment without what the test servers added."""
    own = ("ISPVM_", "DATABASE_", "REDIS_", "DJANGO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


def test_every_story_has_a_name():
    assert all(story.name and story.key == key for key, story in STORIES.items())


@pytest.mark.parametrize("keys", ["ki", "ik"])
def test_no_router_is_locked_at_an_end_of_the_link_that_flaps(keys):
    """Whichever of the two draws first: together they would rightly be one incident."""
    for seed in range(60):
        network = topology(generate_blueprint(seed), api_port=8728, echo_port=7007)
        reserved: set[str] = set()
        faults = {}
        for key in keys:
            nobody: Any = None
            context = Context(
                *(nobody, nobody, nobody, network, nobody, random.Random(f"{seed}:{key}"), print),
                is_disturbed=False,
                reserved=reserved,
            )
            (faults[key],) = STORIES[key].draw(context).failures
        link = next(row for row in network["links"] if row["id"] == faults["k"]["link"])
        ends = {link["a"]["device"], link["z"]["device"]}
        assert faults["i"]["device"] not in ends, seed


def test_every_story_is_in_one_group():
    keys = [key for group in ALL_GROUPS for key in group]

    assert sorted(keys) == sorted(STORIES)
    assert len(STORIES) == 14


def test_groups_are_parsed():
    assert parse_groups("a,b") == [["a"], ["b"]]
    assert parse_groups("a+c,b,") == [["a", "c"], ["b"]]
    assert parse_groups("all") == [list(group) for group in ALL_GROUPS]


def test_the_table_shows_results_and_missing_times():
    right, wrong = Report(), Report()
    right.equal("causes", "x", "x")
    right.timings.append(Timing("cr1-cr2", 17.54, 18.0, 18.96))
    wrong.equal("causes", "x", "y")
    stories = list(STORIES.values())

    lines = table([StoryResult(stories[0], right, 40), StoryResult(stories[1], wrong, 50)], 3, 90)

    assert lines[2].startswith("ok  (a)")
    assert lines[2].split()[-3:] == ["17.5", "18.0", "19.0"]
    assert lines[3].startswith("BAD (b)")
    assert lines[3].split()[-3:] == ["-", "-", "-"]
    assert lines[-1] == "1 of 3 scenarios passed, in 1.5 minutes."


def test_a_changed_verdict_is_reported():
    cut, dead = list(STORIES.values())[:2]
    reported = [{"cr1-cr2": {"severity": "critical"}}, {"bng1": {"severity": "warn"}}]
    undisturbed = [
        StoryResult(cut, Report(verdicts=reported[0]), 40),
        StoryResult(dead, Report(), 40),
    ]

    same = StoryResult(cut, Report(verdicts=reported[0]), 90)
    other = StoryResult(cut, Report(verdicts=reported[1]), 90)

    assert changed_verdicts([*undisturbed, same]) == []
    (line,) = changed_verdicts([*undisturbed, same, other])
    assert line.startswith("verdict of (a): undisturbed {'cr1-cr2'")


def test_a_sequence_number_under_two_event_ids_is_found():
    def received(event_id: str, sequence: int) -> Received:
        incident = {"incident": {"sequence": sequence}}
        return Received(datetime.now(UTC), event_id, "incident.updated", "", True, incident)

    repeated = [received("a", 1), received("b", 2), received("b", 2)]

    assert duplicate_sequences(repeated) == []
    assert duplicate_sequences([*repeated, received("c", 2)]) == [2]
