"""How every story goes: something breaks, an incident opens, is looked at, the break is healed, the incident closes."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from apps.lab.demo.findings import BUDGET_SECONDS, Pace, Report
from apps.lab.demo.moments import moments_of, tells_of_opening
from apps.lab.demo.receiver_log import (
    Received,
    differing_repeats,
    doubled_sequences,
    missing_sequences,
)
from apps.lab.demo.rest import RestError
from apps.lab.demo.stories.scene import Scene

OPEN_WITHIN = 100.0
SETTLE_WITHIN = 90.0
CLOSE_WITHIN = 90.0
DELIVER_WITHIN = 60.0
#: Long enough for a second, wrong incident to show itself.
LINGER_SECONDS = 10.0


@dataclass(frozen=True)
class Expected:
    """One incident that must be there: its cause by name, and what it must say."""

    root: str
    #: Routers that must be held back as consequences, and nobody else.
    dark: frozenset[str] = frozenset()
    #: Null: not compared.
    subscribers: int | None = 0
    #: All causes by name, where there are several.
    causes: frozenset[str] = frozenset()
    severity: str = "critical"
    #: Hard failures are told of within 30 s; soft rules add their own ``for``.
    is_hard: bool = True
    #: Maintenance covers its cause: it is flagged, and nobody is told.
    is_held: bool = False
    #: Routers that are the cause themselves: called unreachable, and rightly.
    itself_dark: frozenset[str] = frozenset()

    @property
    def cause_names(self) -> frozenset[str]:
        return self.causes or frozenset({self.root})


@dataclass
class Plot:
    """What a story has drawn: what to break, and what must be seen."""

    failures: list[dict[str, Any]]
    expected: list[Expected]
    #: What breaks in a second step.
    later: list[dict[str, Any]] = field(default_factory=list)
    #: Found while it is played: incident ids by expected cause, and when each was first seen under that cause.
    incidents: dict[str, str] = field(default_factory=dict)
    named_at: dict[str, datetime] = field(default_factory=dict)
    #: What the simulator calls what we have broken.
    broken: list[str] = field(default_factory=list)


class Story:
    """A subclass draws a plot; the rest is the same for all."""

    key = ""
    name = ""
    expected_seconds = 45

    def draw(self, scene: Scene) -> Plot:
        """What breaks this time."""
        raise NotImplementedError

    def begin(self, scene: Scene) -> None:
        """Before anything breaks."""

    def act(self, scene: Scene, plot: Plot, report: Report) -> None:
        """What happens while the incidents are open."""

    def end(self, scene: Scene) -> None:
        """Always, whatever happened."""

    def afterwards(self, scene: Scene, plot: Plot, report: Report) -> None:
        """When everything is healed and told."""

    def play(self, scene: Scene, plot: Plot) -> Report:
        """Raises RestError when the platform stops answering for good."""
        report = Report()
        try:
            self.begin(scene)
            broken = datetime.now(UTC)
            for failure in plot.failures:
                self.break_it(scene, plot, failure)
            for expected in plot.expected:
                self._opened(scene, plot, expected, report)
            self.act(scene, plot, report)
            for expected in plot.expected:
                if expected.root in plot.incidents:
                    self._while_open(scene, plot.incidents[expected.root], expected, report)
        finally:
            for failure_id in plot.broken:
                self.heal(scene, failure_id)
            self.end(scene)
        scene.say("  healed ...")
        for expected in plot.expected:
            if expected.root in plot.incidents:
                self._closed(scene, plot.incidents[expected.root], expected, report)
                self._told(scene, plot, expected, broken, report)
        self.afterwards(scene, plot, report)
        return report

    @staticmethod
    def break_it(scene: Scene, plot: Plot, failure: dict[str, Any]) -> str:
        """Break one thing more; returns what the simulator calls it."""
        scene.say(f"  breaking: {' '.join(str(value) for value in failure.values())} ...")
        failure_id = str(scene.control.post("/failures", failure)["id"])
        plot.broken.append(failure_id)
        return failure_id

    @staticmethod
    def heal(scene: Scene, failure_id: str) -> None:
        """What is over by itself, or was never a failure, needs no healing."""
        with suppress(RestError):
            scene.control.delete(f"/failures/{failure_id}")

    def _opened(self, scene: Scene, plot: Plot, expected: Expected, report: Report) -> None:
        def opened() -> str | None:
            for row in scene.watcher.incidents.values():
                if row["root_cause"]["name"] == expected.root:
                    return str(row["id"])
            return None

        found = scene.watcher.wait_for(opened, seconds=scene.patience(OPEN_WITHIN))
        if found:
            plot.incidents[expected.root] = found
            plot.named_at[expected.root] = datetime.now(UTC)
        seen = {row["root_cause"]["name"] for row in scene.watcher.incidents.values()}
        report.holds(
            f"root cause {expected.root}", "named", seen or "nothing", is_right=bool(found)
        )

    def _while_open(
        self, scene: Scene, incident_id: str, expected: Expected, report: Report
    ) -> None:
        def settled() -> bool | None:
            return scene.watcher.held_devices(incident_id) >= expected.dark or None

        scene.watcher.wait_for(settled, seconds=scene.patience(SETTLE_WITHIN))
        if not expected.dark:
            scene.watcher.wait_for(lambda: None, seconds=LINGER_SECONDS)
        incident = scene.watcher.incident(incident_id)
        causes, impact = incident["root_causes"], incident["impact"]
        report.equal("causes", set(expected.cause_names), {row["name"] for row in causes})
        report.equal("its class", "primary", causes[0]["classification"])
        report.equal("severity", expected.severity, incident["severity"])
        confidence = causes[0]["confidence"]
        report.holds(
            "confidence",
            "0.5 or more",
            confidence,
            is_right=confidence >= 0.5,  # noqa: PLR2004
        )
        evidence = len(causes[0]["evidence"])
        report.holds("evidence", "lines for the cause", evidence, is_right=evidence > 0)
        held = scene.watcher.held_devices(incident_id)
        report.equal("routers held back", set(expected.dark), held)
        rows = scene.watcher.of(incident_id, "suppressed")
        without = [row["entity_name"] for row in rows if not row["suppressed_reason"]]
        report.equal("held back without a reason", [], without)
        hit = len(expected.dark | expected.itself_dark)
        report.equal("routers cut off", hit, impact["devices_affected"])
        if expected.subscribers is not None:
            counted = impact["estimated_subscribers_affected"]
            report.equal("subscribers", expected.subscribers, counted)
        report.equal("in maintenance", expected.is_held, incident["in_maintenance"])
        report.verdicts[expected.root] = {
            "causes": {row["name"]: row["classification"] for row in causes},
            "severity": incident["severity"],
            "held_back": sorted(held),
            "impact": impact,
        }
        replay = scene.rest.ask(f"/incidents/{incident_id}/replay/")
        report.equal("replay of the verdict", replay["then"][:12], replay["now"][:12])

    def _closed(self, scene: Scene, incident_id: str, expected: Expected, report: Report) -> None:
        def closed() -> dict[str, Any] | None:
            incident = scene.watcher.incident(incident_id)
            return incident if incident["status"] == "closed" else None

        incident = scene.watcher.wait_for(closed, seconds=scene.patience(CLOSE_WITHIN))
        seen = incident["resolution"] if incident else "still open"
        report.equal("after healing", "recovered", seen)
        report.verdicts.setdefault(expected.root, {})["end"] = seen

    def _told(
        self, scene: Scene, plot: Plot, expected: Expected, broken: datetime, report: Report
    ) -> None:
        incident_id = plot.incidents[expected.root]
        if expected.is_held:
            rows = scene.watcher.received(incident_id)
            said = {row.event_type for row in rows if row.at > broken}
            report.equal("webhooks in maintenance", set(), said)
            return

        def told() -> list[Received] | None:
            everything = scene.watcher.received(incident_id)
            rows = [row for row in everything if row.at > broken]
            # The end may overtake what is still being tried again.
            is_whole = not missing_sequences(everything)
            is_over = any(row.event_type == "incident.closed" for row in rows)
            return rows if is_over and is_whole else None

        rows = scene.watcher.wait_for(told, seconds=scene.patience(DELIVER_WITHIN)) or [
            row for row in scene.watcher.received(incident_id) if row.at > broken
        ]
        kinds = {row.event_type for row in rows}
        report.holds(
            "webhooks verified",
            "opened (or reopened) and closed",
            kinds,
            is_right=any(tells_of_opening(row) for row in rows) and "incident.closed" in kinds,
        )
        everything = scene.watcher.received(incident_id)
        report.equal("webhooks missing in sequence", [], missing_sequences(everything))
        received = max((row.incident["sequence"] for row in everything), default=0)
        report.equal("last event", scene.watcher.incident(incident_id)["sequence"], received)
        report.equal("events told twice", [], doubled_sequences(everything))
        report.equal("repeats with other bytes", [], differing_repeats(everything))
        report.equal("webhooks refused", 0, scene.watcher.refused())
        self._in_time(scene, plot, expected, broken, rows, report=report)

    @staticmethod
    def _in_time(
        scene: Scene,
        plot: Plot,
        expected: Expected,
        broken: datetime,
        rows: Sequence[Received],
        *,
        report: Report,
    ) -> None:
        moments = moments_of(scene.watcher, plot.incidents[expected.root], broken, rows)
        if moments is None:
            report.equal("parts of the 30 seconds", "known", "unknown")
            return
        for line in moments.lines():
            scene.say(line)
        named = (plot.named_at[expected.root] - broken).total_seconds()
        opened = (moments.opened - broken).total_seconds()
        # Seen over REST, so up to one look later than it was.
        report.paces.append(Pace(expected.root, opened, max(opened, named), moments.total_seconds))
        if expected.is_hard and not scene.is_disturbed:
            report.holds(
                "failure to delivery",
                f"at most {BUDGET_SECONDS:.0f} s",
                f"{moments.total_seconds:.1f} s",
                is_right=moments.total_seconds <= BUDGET_SECONDS,
            )
