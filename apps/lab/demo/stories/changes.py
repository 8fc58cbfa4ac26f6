"""A configuration change before a failure."""

from apps.lab.demo.report import Report
from apps.lab.demo.stories.context import Context
from apps.lab.demo.stories.story import Expected, Scenario, Story

SEEN_WITHIN = 75.0
CHANGED = "config.changed.detected"


class ChangedThenFailed(Story):
    """A router's configuration is changed and the router fails soon after: the change is in the evidence."""

    key, name = "j", "a router fails after a change of its configuration"
    expected_seconds = 100

    def draw(self, context: Context) -> Scenario:
        # Without routers behind it: the failure has no other symptoms.
        names = [
            row["name"]
            for row in context.topology["devices"]
            if row["role"] == "access" and row["site"] == "south"
        ]
        self._device = context.choose(names)
        expected = Expected(
            self._device, subscribers=None, unreachable_causes=frozenset({self._device})
        )
        return Scenario([{"kind": "device_down", "device": self._device}], [expected])

    def begin(self, context: Context) -> None:
        """Change the configuration and wait until it is detected."""
        context.echo(f"  changing the firewall of {self._device} ...")
        failure = {"kind": "config_change", "device": self._device, "menu": "/ip/firewall/filter"}
        context.control.post("/failures", failure)
        devices = {row["name"]: row["id"] for row in context.rest.all("/devices/")}

        def detected() -> bool | None:
            query = {"entity_id": devices[self._device], "event_type": CHANGED}
            return bool(context.rest.get("/events/", **query)["results"]) or None

        context.watcher.wait_for(detected, seconds=SEEN_WITHIN)

    def act(self, context: Context, scenario: Scenario, report: Report) -> None:
        """The evidence names the change and its time before the failure."""
        for incident_id in scenario.incidents.values():
            (cause, *_) = context.watcher.incident(incident_id)["root_causes"]
            reported = [row["text"] for row in cause["evidence"] if row["code"] == "config_changed"]
            report.holds(
                "the change in the evidence",
                f"Configuration of {self._device} (firewall) changed N s before",
                reported or "nothing",
                is_right=any("firewall" in text and "s before" in text for text in reported),
            )
