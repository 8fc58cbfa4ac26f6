"""The course of every story: a failure, an incident, checks, recovery, the incident closes."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from apps.lab.demo.milestones import is_opening, milestones_of
from apps.lab.demo.receiver_log import (
    Received,
    changed_repeats,
    duplicate_sequences,
    missing_sequences,
)
from apps.lab.demo.report import BUDGET_SECONDS, Report, Timing
from apps.lab.demo.rest import RestError
from apps.lab.demo.stories.context import Context

OPEN_WITHIN = 100.0
SETTLE_WITHIN = 90.0
CLOSE_WITHIN = 90.0
DELIVER_WITHIN = 60.0
#: Long enough for a second, wrong incident to appear.
SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Expected:
    """An expected incident: its cause by name and its fields."""

    root: str
    #: Exactly the routers whose alerts must be suppressed.
    unreachable: frozenset[str] = frozenset()
    #: None: not compared.
    subscribers: int | None = 0
    #: All causes by name, where there are several.
    causes: frozenset[str] = frozenset()
    severity: str = "critical"
    #: Hard failures are reported within 30 s; soft rules add their own ``for``.
    is_hard: bool = True
    #: Its cause is under maintenance: flagged, without notifications.
    in_maintenance: bool = False
    #: Routers that are causes themselves and so are unreachable.
    unreachable_causes: frozenset[str] = frozenset()

    @property
    def cause_names(self) -> frozenset[str]:
        return self.causes or frozenset({self.root})


@dataclass
class Scenario:
    """What a story has chosen: failures to inject and incidents to expect."""

    failures: list[dict[str, Any]]
    expected: list[Expected]
    #: Failures of a second step.
    later: list[dict[str, Any]] = field(default_factory=list)
    #: Set while it runs: incident ids by expected cause, and when each was first seen with that cause.
    incidents: dict[str, str] = field(default_factory=dict)
    cause_named_at: dict[str, datetime] = field(default_factory=dict)
    #: Ids of the injected failures in the simulator.
    broken: list[str] = field(default_factory=list)


class Story:
    """A subclass chooses the scenario; the course is the same for all."""

    key = ""
    name = ""
    expected_seconds = 45

    def draw(self, context: Context) -> Scenario:
        """Choose the failures and expected incidents."""
        raise NotImplementedError

    def begin(self, context: Context) -> None:
        """Runs before the first failure."""

    def act(self, context: Context, scenario: Scenario, report: Report) -> None:
        """Runs while the incidents are open."""

    def end(self, context: Context) -> None:
        """Always runs, also after an error."""

    def afterwards(self, context: Context, scenario: Scenario, report: Report) -> None:
        """Runs after recovery and delivery."""

    def play(self, context: Context, scenario: Scenario) -> Report:
        """Raises RestError when the platform does not answer within the time limit."""
        report = Report()
        try:
            self.begin(context)
            broken = datetime.now(UTC)
            for failure in scenario.failures:
                self.inject_failure(context, scenario, failure)
            for expected in scenario.expected:
                self._check_opened(context, scenario, expected, report)
            self.act(context, scenario, report)
            for expected in scenario.expected:
                if expected.root in scenario.incidents:
                    self._check_while_open(
                        context, scenario.incidents[expected.root], expected, report
                    )
        finally:
            for failure_id in scenario.broken:
                self.heal(context, failure_id)
            self.end(context)
        context.echo("  failures cleared ...")
        for expected in scenario.expected:
            if expected.root in scenario.incidents:
                self._check_closed(context, scenario.incidents[expected.root], expected, report)
                self._check_delivery(context, scenario, expected, broken, report)
        self.afterwards(context, scenario, report)
        return report

    @staticmethod
    def inject_failure(context: Context, scenario: Scenario, failure: dict[str, Any]) -> str:
        """Inject a failure; returns its id in the simulator."""
        context.echo(f"  injecting: {' '.join(str(value) for value in failure.values())} ...")
        failure_id = str(context.control.post("/failures", failure)["id"])
        scenario.broken.append(failure_id)
        return failure_id

    @staticmethod
    def heal(context: Context, failure_id: str) -> None:
        """Clear a failure. One that ended by itself is unknown to the simulator."""
        with suppress(RestError):
            context.control.delete(f"/failures/{failure_id}")

    def _check_opened(
        self, context: Context, scenario: Scenario, expected: Expected, report: Report
    ) -> None:
        def opened() -> str | None:
            for row in context.watcher.incidents.values():
                if row["root_cause"]["name"] == expected.root:
                    return str(row["id"])
            return None

        found = context.watcher.wait_for(opened, seconds=context.patience(OPEN_WITHIN))
        if found:
            scenario.incidents[expected.root] = found
            scenario.cause_named_at[expected.root] = datetime.now(UTC)
        seen = {row["root_cause"]["name"] for row in context.watcher.incidents.values()}
        report.holds(
            f"root cause {expected.root}", "named", seen or "nothing", is_right=bool(found)
        )

    def _check_while_open(
        self, context: Context, incident_id: str, expected: Expected, report: Report
    ) -> None:
        def settled() -> bool | None:
            return context.watcher.suppressed_devices(incident_id) >= expected.unreachable or None

        context.watcher.wait_for(settled, seconds=context.patience(SETTLE_WITHIN))
        if not expected.unreachable:
            context.watcher.wait_for(lambda: None, seconds=SETTLE_SECONDS)
        incident = context.watcher.incident(incident_id)
        causes, impact = incident["root_causes"], incident["impact"]
        report.equal("causes", set(expected.cause_names), {row["name"] for row in causes})
        report.equal("classification", "primary", causes[0]["classification"])
        report.equal("severity", expected.severity, incident["severity"])
        confidence = causes[0]["confidence"]
        report.holds(
            "confidence",
            "0.5 or more",
            confidence,
            is_right=confidence >= 0.5,
        )
        evidence = len(causes[0]["evidence"])
        report.holds("evidence", "at least one item", evidence, is_right=evidence > 0)
        suppressed = context.watcher.suppressed_devices(incident_id)
        report.equal("suppressed routers", set(expected.unreachable), suppressed)
        rows = context.watcher.of(incident_id, "suppressed")
        without = [row["entity_name"] for row in rows if not row["suppressed_reason"]]
        report.equal("suppressed without a reason", [], without)
        hit = len(expected.unreachable | expected.unreachable_causes)
        report.equal("routers cut off", hit, impact["devices_affected"])
        if expected.subscribers is not None:
            counted = impact["estimated_subscribers_affected"]
            report.equal("subscribers", expected.subscribers, counted)
        report.equal("in maintenance", expected.in_maintenance, incident["in_maintenance"])
        report.verdicts[expected.root] = {
            "causes": {row["name"]: row["classification"] for row in causes},
            "severity": incident["severity"],
            "suppressed": sorted(suppressed),
            "impact": impact,
        }
        replay = context.rest.post_readonly(f"/incidents/{incident_id}/replay/")
        report.equal(
            "replay of the verdict", replay["stored_digest"][:12], replay["computed_digest"][:12]
        )

    def _check_closed(
        self, context: Context, incident_id: str, expected: Expected, report: Report
    ) -> None:
        def closed() -> dict[str, Any] | None:
            incident = context.watcher.incident(incident_id)
            return incident if incident["status"] == "closed" else None

        incident = context.watcher.wait_for(closed, seconds=context.patience(CLOSE_WITHIN))
        seen = incident["resolution"] if incident else "still open"
        report.equal("resolution", "recovered", seen)
        report.verdicts.setdefault(expected.root, {})["end"] = seen

    def _check_delivery(
        self,
        context: Context,
        scenario: Scenario,
        expected: Expected,
        broken: datetime,
        report: Report,
    ) -> None:
        incident_id = scenario.incidents[expected.root]
        if expected.in_maintenance:
            rows = context.watcher.received(incident_id)
            reported = {row.event_type for row in rows if row.at > broken}
            report.equal("webhooks in maintenance", set(), reported)
            return

        def delivered() -> list[Received] | None:
            everything = context.watcher.received(incident_id)
            rows = [row for row in everything if row.at > broken]
            # The closed event may arrive before one that is retried.
            is_whole = not missing_sequences(everything)
            is_over = any(row.event_type == "incident.closed" for row in rows)
            return rows if is_over and is_whole else None

        rows = context.watcher.wait_for(delivered, seconds=context.patience(DELIVER_WITHIN)) or [
            row for row in context.watcher.received(incident_id) if row.at > broken
        ]
        kinds = {row.event_type for row in rows}
        report.holds(
            "webhooks verified",
            "opened (or reopened) and closed",
            kinds,
            is_right=any(is_opening(row) for row in rows) and "incident.closed" in kinds,
        )
        everything = context.watcher.received(incident_id)
        report.equal("webhooks missing in sequence", [], missing_sequences(everything))
        received = max((row.incident["sequence"] for row in everything), default=0)
        report.equal("last event", context.watcher.incident(incident_id)["sequence"], received)
        report.equal("duplicate sequence numbers", [], duplicate_sequences(everything))
        report.equal("retries with a changed body", [], changed_repeats(everything))
        report.equal("webhooks refused", 0, context.watcher.refused())
        self._check_time(context, scenario, expected, broken, rows, report=report)

    @staticmethod
    def _check_time(
        context: Context,
        scenario: Scenario,
        expected: Expected,
        broken: datetime,
        rows: Sequence[Received],
        *,
        report: Report,
    ) -> None:
        milestones = milestones_of(context.watcher, scenario.incidents[expected.root], broken, rows)
        if milestones is None:
            report.equal("parts of the 30 seconds", "known", "unknown")
            return
        for line in milestones.lines():
            context.echo(line)
        named = (scenario.cause_named_at[expected.root] - broken).total_seconds()
        opened = (milestones.opened_at - broken).total_seconds()
        # Read over REST: up to one poll later than it happened.
        report.timings.append(
            Timing(expected.root, opened, max(opened, named), milestones.total_seconds)
        )
        if expected.is_hard and not context.is_disturbed:
            report.holds(
                "failure to delivery",
                f"at most {BUDGET_SECONDS:.0f} s",
                f"{milestones.total_seconds:.1f} s",
                is_right=milestones.total_seconds <= BUDGET_SECONDS,
            )
