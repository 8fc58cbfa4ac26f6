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
from apps.lab.demo.check import Played, differing_verdicts, table
from apps.lab.demo.findings import Pace, Report
from apps.lab.demo.receiver_log import Received, doubled_sequences
from apps.lab.demo.stories import PROGRAMME, STORIES, Scene, read_programme

PROJECT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.real
@pytest.mark.parametrize(
    "options",
    [("--all",), ("--stories", "b", "--kills", "20")],
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


@pytest.mark.parametrize("keys", ["ki", "ik"])
def test_no_router_is_locked_at_an_end_of_the_link_that_flaps(keys):
    """Whichever of the two draws first: together they would rightly be one incident."""
    for seed in range(60):
        drawn = topology(generate_blueprint(seed), api_port=8728, echo_port=7007)
        taken: set[str] = set()
        faults = {}
        for key in keys:
            nobody: Any = None
            scene = Scene(
                *(nobody, nobody, nobody, drawn, nobody, random.Random(f"{seed}:{key}"), print),
                is_disturbed=False,
                taken=taken,
            )
            (faults[key],) = STORIES[key].draw(scene).failures
        link = next(row for row in drawn["links"] if row["id"] == faults["k"]["link"])
        ends = {link["a"]["device"], link["z"]["device"]}
        assert faults["i"]["device"] not in ends, seed


def test_all_of_them_are_in_the_programme_once():
    played = [key for group in PROGRAMME for key in group]

    assert sorted(played) == sorted(STORIES)
    assert len(STORIES) == 14


def test_a_programme_is_read_as_it_is_typed():
    assert read_programme("a,b") == [["a"], ["b"]]
    assert read_programme("a+c,b,") == [["a", "c"], ["b"]]
    assert read_programme("all") == [list(group) for group in PROGRAMME]


def test_the_table_tells_right_from_wrong_and_what_was_never_told():
    right, wrong = Report(), Report()
    right.equal("causes", "x", "x")
    right.paces.append(Pace("cr1-cr2", 17.54, 18.0, 18.96))
    wrong.equal("causes", "x", "y")
    stories = list(STORIES.values())

    lines = table([Played(stories[0], right, 40), Played(stories[1], wrong, 50)], 3, 90)

    assert lines[2].startswith("ok  (a)")
    assert lines[2].split()[-3:] == ["17.5", "18.0", "19.0"]
    assert lines[3].startswith("BAD (b)")
    assert lines[3].split()[-3:] == ["-", "-", "-"]
    assert lines[-1] == "1 of 3 stories were told right, in 1.5 minutes."


def test_a_verdict_that_differs_from_the_undisturbed_one_is_told():
    cut, dead = list(STORIES.values())[:2]
    said = [{"cr1-cr2": {"severity": "critical"}}, {"bng1": {"severity": "warn"}}]
    undisturbed = [Played(cut, Report(verdicts=said[0]), 40), Played(dead, Report(), 40)]

    same = Played(cut, Report(verdicts=said[0]), 90)
    other = Played(cut, Report(verdicts=said[1]), 90)

    assert differing_verdicts([*undisturbed, same]) == []
    (line,) = differing_verdicts([*undisturbed, same, other])
    assert line.startswith("verdict of (a): undisturbed {'cr1-cr2'")


def test_one_change_told_under_two_event_ids_is_found():
    def received(event_id: str, sequence: int) -> Received:
        incident = {"incident": {"sequence": sequence}}
        return Received(datetime.now(UTC), event_id, "incident.updated", "", True, incident)

    repeated = [received("a", 1), received("b", 2), received("b", 2)]

    assert doubled_sequences(repeated) == []
    assert doubled_sequences([*repeated, received("c", 2)]) == [2]
