"""Plays stories, one or several at once, each from a healthy network to a healthy network."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from apps.lab.demo.folder import Folder
from apps.lab.demo.report import Report, Timing
from apps.lab.demo.rest import Rest, RestError
from apps.lab.demo.stories import STORIES, Context, Scenario, Story
from apps.lab.demo.watcher import Watcher

HEALTHY_WITHIN = 150.0
#: Phases in the phase file: in the second no process is killed.
STORY, UNDISTURBED = "story", "undisturbed story"
#: Number of kills that the supervisor still has to do.
KILLS_LEFT = "kills-left"
MAX_ROUNDS = 10
#: Older samples are not counted as current.
FRESH = timedelta(seconds=40)


@dataclass(frozen=True)
class DemoRunner:
    """What all stories of a run share."""

    folder: Folder
    control: Rest
    rest: Rest
    seed: int
    is_disturbed: bool
    echo: Callable[[str], None]
    #: How often links and routers were chosen in this run.
    times_used: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class StoryResult:
    """A story with its report and duration."""

    story: Story
    report: Report
    seconds: float


def run_check(
    runner: DemoRunner, stories: Sequence[Sequence[str]], *, compare: bool = False
) -> bool:
    """Whether the platform reported every story correctly. Stories of one group run at the same time, each on its own
    part of the network. Prints expected and actual values, the parts of the 30 seconds, the overrides, and a table.

    With ``compare`` they run undisturbed first, then with the same choices until no kill is left: all verdicts have to
    equal those of the first round."""
    topology = runner.control.get("/topology")
    runner.control.delete("/failures")  # what an interrupted run left broken
    runner.echo(f"{topology['isp']}, seed {runner.seed}")
    for line in overrides_in_force(runner.rest):
        runner.echo(f"  override: {line}")
    began, results, wanted = time.monotonic(), list[StoryResult](), 0
    for number, group in enumerate(_schedule(runner, stories, compare=compare)):
        if number % len(stories) == 0:
            runner = replace(runner, times_used=Counter())  # every round makes the same choices
        watcher = Watcher(runner.rest, Path(runner.folder.plan["receiver_log"]))
        wanted += len(group)
        if not wait_until_healthy(watcher, runner.rest, topology, runner.echo):
            break
        phase = {"phase": STORY, "seconds": _seconds(stories)}
        if compare:
            phase = {"phase": STORY if number >= len(stories) else UNDISTURBED, "seconds": 0}
        results += play_group(runner, topology, [STORIES[key] for key in group], phase)
    for line in (changed := changed_verdicts(results) if compare else []):
        runner.echo(f"  WRONG  {line}")
    if wanted > 1:
        for line in table(results, wanted, time.monotonic() - began):
            runner.echo(line)
    return len(results) == wanted and not changed and all(row.report.passed for row in results)


def _schedule(
    runner: DemoRunner, stories: Sequence[Sequence[str]], *, compare: bool
) -> Iterator[Sequence[str]]:
    yield from stories
    for _ in range(MAX_ROUNDS if compare else 0):
        for group in stories:
            if runner.folder.read_text(KILLS_LEFT) in {"", "0"}:
                return
            yield group


def _seconds(stories: Sequence[Sequence[str]]) -> int:
    """Expected duration, without the waits for a healthy network."""
    return sum(max(STORIES[key].expected_seconds for key in group) for group in stories)


def changed_verdicts(results: Sequence[StoryResult]) -> list[str]:
    """Stories whose verdict differs from that of the first, undisturbed round."""
    first: dict[str, StoryResult] = {}
    lines = []
    for row in results:
        healthy = first.setdefault(row.story.key, row)
        if row.report.verdicts != healthy.report.verdicts:
            lines.append(
                f"verdict of ({row.story.key}): undisturbed {healthy.report.verdicts};"
                f" seen {row.report.verdicts}"
            )
    return lines


def play_group(
    runner: DemoRunner,
    topology: dict[str, Any],
    stories: Sequence[Story],
    phase: Mapping[str, Any],
) -> list[StoryResult]:
    """Play stories at once; together they must account for every incident."""
    watcher = Watcher(runner.rest, Path(runner.folder.plan["receiver_log"]))
    reserved: set[str] = set()
    cases = []
    for story in stories:
        context = Context(
            control=runner.control,
            rest=runner.rest,
            watcher=watcher,
            topology=topology,
            folder=runner.folder,
            # A random source per story: a story chooses the same when it is played alone.
            rng=random.Random(f"{runner.seed}:{story.key}"),
            echo=runner.echo
            if len(stories) == 1
            else partial(_echo_with_key, runner.echo, story.key),
            is_disturbed=runner.is_disturbed,
            reserved=reserved,
            times_used=runner.times_used,
        )
        cases.append((story, context, story.draw(context)))
        runner.echo(f"Scenario ({story.key}): {story.name}")
    keys = ",".join(story.key for story in stories)
    runner.folder.write_json("phase.json", {**phase, "story": keys})
    with ThreadPoolExecutor(len(cases)) as pool:
        results = list(pool.map(lambda one: _play(*one), cases))
    runner.folder.write_json("phase.json", {"phase": "between"})
    _check_nothing_else(watcher, [scenario for *_, scenario in cases], results[-1].report)
    for row in results:
        for comparison in row.report.comparisons:
            runner.echo(
                comparison.line() if len(results) == 1 else f"({row.story.key}){comparison.line()}"
            )
        word = "passed" if row.report.passed else "FAILED"
        runner.echo(f"Scenario ({row.story.key}) {word} after {row.seconds:.0f} s.")
    return results


def _echo_with_key(echo: Callable[[str], None], key: str, line: str) -> None:
    echo(f"({key}){line}")


def _play(story: Story, context: Context, scenario: Scenario) -> StoryResult:
    began = time.monotonic()
    try:
        report = story.play(context, scenario)
    except RestError as error:
        report = Report()
        report.equal("the platform answers", "always", str(error))
    return StoryResult(story, report, time.monotonic() - began)


def _check_nothing_else(watcher: Watcher, scenarios: Sequence[Scenario], report: Report) -> None:
    """There are no incidents and no unreachable devices beyond those that the stories expect."""
    expected = [one for scenario in scenarios for one in scenario.expected]
    titles = sorted(row["title"] for row in watcher.incidents.values())
    report.holds(
        "incidents in total",
        str(len(expected)),
        f"{len(titles)}: {'; '.join(titles)}",
        is_right=len(titles) == len(expected),
    )
    unreachable = frozenset().union(*(one.unreachable | one.unreachable_causes for one in expected))
    wrongly = watcher.reported_unreachable - unreachable
    report.equal("routers wrongly reported unreachable", set(), wrongly)


def table(results: Sequence[StoryResult], wanted: int, seconds: float) -> list[str]:
    """The result table: seconds from the failure to the incident, its correct cause, its delivery."""
    lines = ["", f"{'':3} {'scenario':48} {'cause':24} incident  cause  delivery"]
    for row in results:
        mark = "ok" if row.report.passed else "BAD"
        timings = row.report.timings or [Timing("-", None, None, None)]
        for timing in timings:
            figures = (timing.to_incident, timing.to_cause, timing.to_delivery)
            delivered = ["-" if figure is None else f"{figure:.1f}" for figure in figures]
            name = f"({row.story.key}) {row.story.name}"
            lines.append(
                f"{mark:3} {name[:48]:48} {timing.cause[:24]:24} {delivered[0]:>8} {delivered[1]:>6} {delivered[2]:>9}"
            )
    right = sum(row.report.passed for row in results)
    return [*lines, f"{right} of {wanted} scenarios passed, in {seconds / 60:.1f} minutes."]


def wait_until_healthy(
    watcher: Watcher, rest: Rest, topology: dict[str, Any], echo: Callable[[str], None]
) -> bool:
    """Wait until every device is discovered, polled and healthy: a story starts only then."""
    began = time.monotonic()
    missing: list[str] = []

    def healthy() -> bool | None:
        missing[:] = _unmet_conditions(rest, topology)
        return not missing or None

    if watcher.wait_for(healthy, seconds=HEALTHY_WITHIN):
        echo(f"The network is healthy after {time.monotonic() - began:.0f} s.")
        return True
    echo(f"The network did not become healthy within {HEALTHY_WITHIN:.0f} s: {'; '.join(missing)}")
    return False


def _unmet_conditions(rest: Rest, topology: dict[str, Any]) -> list[str]:
    missing = []
    offline = [row["name"] for row in rest.all("/agents/") if not row["is_alive"]]
    if offline:
        missing.append(f"offline agents {', '.join(offline)}")
    routers = len(topology["devices"])
    adjacencies = len(topology["ospf_neighbors"])
    for metric, wanted in (
        ("device.up", routers),
        ("device.api.up", routers),
        ("ospf.neighbor.up", adjacencies),
        ("bgp.peer.up", len(topology["bgp_peers"])),
        ("pppoe.sessions.active", len(topology["services"])),
    ):
        values = rest.get("/metrics/latest/", metric=metric)["results"]
        recently = (datetime.now(UTC) - FRESH).isoformat()
        well = sum(1 for row in values if row["value"] and row["ts"] > recently)
        if well < wanted:
            missing.append(f"{metric} is up for {well} of {wanted}")
    population = sum(row["sessions"] for row in topology["services"])
    online = rest.get("/metrics/latest/", metric="pppoe.sessions.active")["results"]
    counted = sum(row["value"] for row in online)
    if counted < population:  # they reconnect one by one
        missing.append(f"{counted:.0f} of {population} subscribers are online")
    unbound = [
        row["name"]
        for row in rest.all("/links/")
        if not row["a_interface"] or (row["z_device"] and not row["z_interface"])
    ]
    if unbound:
        missing.append(f"links without ports {', '.join(unbound)}")
    for state in ("pending", "firing", "recovering"):
        alerts = rest.get("/alerts/", state=state)["results"]
        missing += [f"{state}: {row['summary']}" for row in alerts]
    standing = rest.get("/incidents/", status="open")["results"]
    missing += [f"INC-{row['number']} is open" for row in standing]
    return missing


def overrides_in_force(rest: Rest) -> list[str]:
    """All rule overrides, and polling settings that differ from the defaults."""
    lines = []
    for rule in rest.all("/alert-rules/"):
        document = rest.get(f"/alert-rules/{rule['id']}/")["document"]
        packed = [
            f"pack: {rule['key']} for {row['level']} {row['target']}: {row['changes']}"
            for row in document.get("overrides", ())
        ]
        own = [
            f"tenant: {rule['key']} for {row['scope']} {row['target']}: {row['changes']}"
            for row in rest.get(f"/alert-rules/{rule['id']}/overrides/")["results"]
        ]
        lines += [*packed, *own]
    profiles = {str(row["polling_profile"]) for row in rest.all("/devices/")} - {"{}"}
    lines += [f"polling profile: {profile}" for profile in sorted(profiles)]
    seconds = {row["interval_seconds"] for row in rest.all("/probe-targets/")}
    lines += [f"probe interval: {value} s" for value in sorted(seconds)]
    return lines
