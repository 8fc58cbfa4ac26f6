"""Playing stories one after the other, from a calm network to a calm network."""

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apps.console.demo.folder import Folder
from apps.console.demo.rest import Rest
from apps.console.demo.stories import STORIES, Scene, Story
from apps.console.demo.watching import Watcher

CALM_WITHIN = 150.0
#: Older readings say nothing about now.
FRESH = timedelta(seconds=40)


def run_check(
    *,
    folder: Folder,
    control: Rest,
    rest: Rest,
    stories: Sequence[str],
    seed: int,
    is_disturbed: bool,
    say: Callable[[str], None],
) -> bool:
    """Whether every story was told right. Prints expected and seen, the parts of the 30 seconds, the overrides."""
    topology = control.get("/topology")
    log = Path(folder.plan["receiver_log"])
    control.delete("/failures")  # what an interrupted run left broken
    say(f"{topology['isp']}, seed {seed}")
    for line in overrides_in_force(rest):
        say(f"  override: {line}")
    passed = True
    for key in stories:
        story = STORIES[key]
        if not wait_until_calm(Watcher(rest, log), rest, topology, say):
            return False
        # Each story draws from its own source, so that one can be played alone.
        rng = random.Random(f"{seed}:{key}")  # noqa: S311  (to be repeated, not to be secret)
        scene = Scene(
            control=control,
            rest=rest,
            watcher=Watcher(rest, log),
            topology=topology,
            folder=folder,
            rng=rng,
            say=say,
            is_disturbed=is_disturbed,
        )
        passed = _play(story, scene, folder) and passed
    return passed


def _play(story: Story, scene: Scene, folder: Folder) -> bool:
    scene.say(f"Story ({story.key}): {story.name}")
    phase = {"phase": "story", "story": story.key, "seconds": story.expected_seconds}
    folder.write_json("phase.json", phase)
    began = time.monotonic()
    report = story.play(scene)
    folder.write_json("phase.json", {"phase": "between"})
    for finding in report.findings:
        scene.say(finding.line())
    word = "passed" if report.passed else "FAILED"
    scene.say(f"Story ({story.key}) {word} after {time.monotonic() - began:.0f} s.")
    return report.passed


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
