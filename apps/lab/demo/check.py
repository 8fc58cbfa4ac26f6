"""Playing stories, alone or several at once, from a calm network to a calm network."""

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

from apps.lab.demo.findings import Pace, Report
from apps.lab.demo.folder import Folder
from apps.lab.demo.rest import Rest, RestError
from apps.lab.demo.stories import STORIES, Plot, Scene, Story
from apps.lab.demo.watching import Watcher

CALM_WITHIN = 150.0
#: Whether processes may be killed meanwhile, as the phase file says it.
STORY, CALM = "story", "undisturbed story"
#: What the supervisor's killer still has to do.
KILLS_LEFT = "kills-left"
MOST_ROUNDS = 10
#: Older readings say nothing about now.
FRESH = timedelta(seconds=40)


@dataclass(frozen=True)
class Theatre:
    """Everything that stays the same from story to story."""

    folder: Folder
    control: Rest
    rest: Rest
    seed: int
    is_disturbed: bool
    say: Callable[[str], None]
    #: What stories have drawn so far.
    worn: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Played:
    """One story, how it went, and how long it took."""

    story: Story
    report: Report
    seconds: float


def run_check(theatre: Theatre, stories: Sequence[Sequence[str]], *, compare: bool = False) -> bool:
    """Whether every story was told right. Stories of one group are played at the same time, each on its own part of
    the network. Prints expected and seen, the parts of the 30 seconds, the overrides, and a table at the end.

    To compare, they are played undisturbed first, and then on the same draws until nothing is left to kill: all
    verdicts have to be those of the first round."""
    topology = theatre.control.get("/topology")
    theatre.control.delete("/failures")  # what an interrupted run left broken
    theatre.say(f"{topology['isp']}, seed {theatre.seed}")
    for line in overrides_in_force(theatre.rest):
        theatre.say(f"  override: {line}")
    began, played, wanted = time.monotonic(), list[Played](), 0
    for number, group in enumerate(_programme(theatre, stories, compare=compare)):
        if number % len(stories) == 0:
            theatre = replace(theatre, worn=Counter())  # every round draws the same
        watcher = Watcher(theatre.rest, Path(theatre.folder.plan["receiver_log"]))
        wanted += len(group)
        if not wait_until_calm(watcher, theatre.rest, topology, theatre.say):
            break
        phase = {"phase": STORY, "seconds": _seconds(stories)}
        if compare:
            phase = {"phase": STORY if number >= len(stories) else CALM, "seconds": 0}
        played += play_group(theatre, topology, [STORIES[key] for key in group], phase)
    for line in (differing := differing_verdicts(played) if compare else []):
        theatre.say(f"  WRONG  {line}")
    if wanted > 1:
        for line in table(played, wanted, time.monotonic() - began):
            theatre.say(line)
    return len(played) == wanted and not differing and all(row.report.passed for row in played)


def _programme(
    theatre: Theatre, stories: Sequence[Sequence[str]], *, compare: bool
) -> Iterator[Sequence[str]]:
    yield from stories
    for _ in range(MOST_ROUNDS if compare else 0):
        for group in stories:
            if theatre.folder.read_text(KILLS_LEFT) in {"", "0"}:
                return
            yield group


def _seconds(stories: Sequence[Sequence[str]]) -> int:
    """How long they should take, without the calm between them."""
    return sum(max(STORIES[key].expected_seconds for key in group) for group in stories)


def differing_verdicts(played: Sequence[Played]) -> list[str]:
    """Stories that were told otherwise than in the first round, which nobody disturbed."""
    first: dict[str, Played] = {}
    lines = []
    for row in played:
        calm = first.setdefault(row.story.key, row)
        if row.report.verdicts != calm.report.verdicts:
            lines.append(
                f"verdict of ({row.story.key}): undisturbed {calm.report.verdicts};"
                f" seen {row.report.verdicts}"
            )
    return lines


def play_group(
    theatre: Theatre,
    topology: dict[str, Any],
    stories: Sequence[Story],
    phase: Mapping[str, Any],
) -> list[Played]:
    """Play some stories at once; together they must be all that is told."""
    watcher = Watcher(theatre.rest, Path(theatre.folder.plan["receiver_log"]))
    taken: set[str] = set()
    cast = []
    for story in stories:
        scene = Scene(
            control=theatre.control,
            rest=theatre.rest,
            watcher=watcher,
            topology=topology,
            folder=theatre.folder,
            # Each story draws from its own source, so that one can be played alone.
            rng=random.Random(f"{theatre.seed}:{story.key}"),  # noqa: S311  (to be repeated, not to be secret)
            say=theatre.say if len(stories) == 1 else partial(_say_as, theatre.say, story.key),
            is_disturbed=theatre.is_disturbed,
            taken=taken,
            worn=theatre.worn,
        )
        cast.append((story, scene, story.draw(scene)))
        theatre.say(f"Story ({story.key}): {story.name}")
    keys = ",".join(story.key for story in stories)
    theatre.folder.write_json("phase.json", {**phase, "story": keys})
    with ThreadPoolExecutor(len(cast)) as pool:
        played = list(pool.map(lambda one: _play(*one), cast))
    theatre.folder.write_json("phase.json", {"phase": "between"})
    _nothing_else(watcher, [plot for *_, plot in cast], played[-1].report)
    for row in played:
        for finding in row.report.findings:
            theatre.say(
                finding.line() if len(played) == 1 else f"({row.story.key}){finding.line()}"
            )
        word = "passed" if row.report.passed else "FAILED"
        theatre.say(f"Story ({row.story.key}) {word} after {row.seconds:.0f} s.")
    return played


def _say_as(say: Callable[[str], None], key: str, line: str) -> None:
    say(f"({key}){line}")


def _play(story: Story, scene: Scene, plot: Plot) -> Played:
    began = time.monotonic()
    try:
        report = story.play(scene, plot)
    except RestError as error:
        report = Report()
        report.equal("the platform answers", "always", str(error))
    return Played(story, report, time.monotonic() - began)


def _nothing_else(watcher: Watcher, plots: Sequence[Plot], report: Report) -> None:
    """Told was what the stories expected, all of them together, and nothing beside it."""
    expected = [one for plot in plots for one in plot.expected]
    titles = sorted(row["title"] for row in watcher.incidents.values())
    report.holds(
        "incidents in all",
        str(len(expected)),
        f"{len(titles)}: {'; '.join(titles)}",
        is_right=len(titles) == len(expected),
    )
    dark = frozenset().union(*(one.dark | one.itself_dark for one in expected))
    wrongly = watcher.called_unreachable - dark
    report.equal("routers wrongly called unreachable", set(), wrongly)


def table(played: Sequence[Played], wanted: int, seconds: float) -> list[str]:
    """Seconds from the failure to the incident, to its correct cause, to its delivery."""
    lines = ["", f"{'':3} {'story':48} {'cause':24} incident  cause  delivery"]
    for row in played:
        mark = "ok" if row.report.passed else "BAD"
        paces = row.report.paces or [Pace("-", None, None, None)]
        for pace in paces:
            figures = (pace.to_incident, pace.to_cause, pace.to_delivery)
            told = ["-" if figure is None else f"{figure:.1f}" for figure in figures]
            name = f"({row.story.key}) {row.story.name}"
            lines.append(
                f"{mark:3} {name[:48]:48} {pace.cause[:24]:24} {told[0]:>8} {told[1]:>6} {told[2]:>9}"
            )
    right = sum(row.report.passed for row in played)
    return [*lines, f"{right} of {wanted} stories were told right, in {seconds / 60:.1f} minutes."]


def wait_until_calm(
    watcher: Watcher, rest: Rest, topology: dict[str, Any], say: Callable[[str], None]
) -> bool:
    """Everything is known, read and well: only then can a story begin."""
    began = time.monotonic()
    missing: list[str] = []

    def calm() -> bool | None:
        missing[:] = _what_is_missing(rest, topology)
        return not missing or None

    if watcher.wait_for(calm, seconds=CALM_WITHIN):
        say(f"All is well after {time.monotonic() - began:.0f} s.")
        return True
    say(f"The network did not become calm within {CALM_WITHIN:.0f} s: {'; '.join(missing)}")
    return False


def _what_is_missing(rest: Rest, topology: dict[str, Any]) -> list[str]:
    missing = []
    silent = [row["name"] for row in rest.all("/agents/") if not row["is_alive"]]
    if silent:
        missing.append(f"silent agents {', '.join(silent)}")
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
            missing.append(f"{metric} is well for {well} of {wanted}")
    population = sum(row["sessions"] for row in topology["services"])
    online = rest.get("/metrics/latest/", metric="pppoe.sessions.active")["results"]
    counted = sum(row["value"] for row in online)
    if counted < population:  # they come back one by one
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
    """Every departure from the rules' own numbers and from the default polling."""
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
