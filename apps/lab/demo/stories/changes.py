"""What people did just before."""

from apps.lab.demo.findings import Report
from apps.lab.demo.stories.scene import Scene
from apps.lab.demo.stories.story import Expected, Plot, Story

SEEN_WITHIN = 75.0
CHANGED = "config.changed.detected"


class ChangedThenFailed(Story):
    """Somebody changes a router's configuration, and soon after the router is gone: the change is in the evidence."""

    key, name = "j", "a router fails after a change of its configuration"
    expected_seconds = 100

    def draw(self, scene: Scene) -> Plot:
        # Nothing is behind it: what is seen of its failure is only itself.
        names = [
            row["name"]
            for row in scene.topology["devices"]
            if row["role"] == "access" and row["site"] == "south"
        ]
        self._device = scene.choose(names)
        expected = Expected(self._device, subscribers=None, itself_dark=frozenset({self._device}))
        return Plot([{"kind": "device_down", "device": self._device}], [expected])

    def begin(self, scene: Scene) -> None:
        """The change, until it has been detected."""
        scene.say(f"  changing the firewall of {self._device} ...")
        wish = {"kind": "config_change", "device": self._device, "menu": "/ip/firewall/filter"}
        scene.control.post("/failures", wish)
        devices = {row["name"]: row["id"] for row in scene.rest.all("/devices/")}

        def detected() -> bool | None:
            query = {"entity_id": devices[self._device], "event_type": CHANGED}
            return bool(scene.rest.get("/events/", **query)["results"]) or None

        scene.watcher.wait_for(detected, seconds=SEEN_WITHIN)

    def act(self, scene: Scene, plot: Plot, report: Report) -> None:
        """What speaks for the cause names the change and how long before it was."""
        for incident_id in plot.incidents.values():
            (cause, *_) = scene.watcher.incident(incident_id)["root_causes"]
            said = [row["text"] for row in cause["evidence"] if row["code"] == "config_changed"]
            report.holds(
                "the change in the evidence",
                f"Configuration of {self._device} (firewall) changed N s before",
                said or "nothing",
                is_right=any("firewall" in text and "s before" in text for text in said),
            )
