"""Telling the world while it does not listen."""

import time

from apps.lab.demo.findings import Report
from apps.lab.demo.stories.scene import Scene
from apps.lab.demo.stories.story import Expected, Plot, Story

DOWN_FOR_SECONDS = 60.0
CAUGHT_UP_WITHIN = 40.0


class ReceiverDown(Story):
    """Whoever is to be told is away for a minute: tried again, and in the end told everything."""

    key, name = "n", "the receiver of webhooks is down for a minute"
    expected_seconds = 110

    def draw(self, scene: Scene) -> Plot:
        link = scene.choose(row["id"] for row in scene.links("core"))
        # Told late, because nobody listened: no limit of 30 s.
        return Plot([{"kind": "link_cut", "link": link}], [Expected(link, is_hard=False)])

    def begin(self, scene: Scene) -> None:
        scene.say("  killing the receiver for 60 s ...")
        scene.halt("receiver")

    def act(self, scene: Scene, plot: Plot, report: Report) -> None:
        """The incident is open, tries have failed; then the receiver comes back."""
        began = min(plot.named_at.values(), default=None)
        if began is None:
            return
        scene.watcher.wait_for(lambda: None, seconds=DOWN_FOR_SECONDS - 25)
        told = [len(scene.watcher.received(pk)) for pk in plot.incidents.values()]
        report.equal("webhooks while nobody listens", [0] * len(told), told)

    def end(self, scene: Scene) -> None:
        scene.release("receiver")

    def afterwards(self, scene: Scene, plot: Plot, report: Report) -> None:
        """Each event came, once by its id and bytes, although its first tries had failed."""
        for incident_id in plot.incidents.values():

            def everything(incident_id: str = incident_id) -> list[int] | None:
                numbers = sorted(
                    row.incident["sequence"] for row in scene.watcher.received(incident_id)
                )
                return numbers if numbers[:1] == [1] and len(numbers) >= 2 else None  # noqa: PLR2004

            began = time.monotonic()
            numbers = scene.watcher.wait_for(everything, seconds=CAUGHT_UP_WITHIN) or []
            waited = time.monotonic() - began
            report.holds(
                "events delivered after all",
                "all from 1 on",
                f"{numbers} ({waited:.0f} s after the end)",
                is_right=bool(numbers) and numbers == list(range(1, len(numbers) + 1)),
            )
            tries = self._tries(scene, incident_id)
            report.holds(
                "tries of the first event",
                "several, the last one taken",
                tries,
                is_right=len(tries) > 1
                and tries[-1] == "delivered"
                and "delivered" not in tries[:-1],
            )

    @staticmethod
    def _tries(scene: Scene, incident_id: str) -> list[str]:
        """What became of each attempt for the incident's first event, as the ledger has it."""
        first = min(
            scene.watcher.received(incident_id),
            key=lambda row: row.incident["sequence"],
            default=None,
        )
        if first is None:
            return []
        for row in scene.rest.all("/webhook-deliveries/", incident=incident_id):
            if row["event_id"] == first.event_id:
                whole = scene.rest.get(f"/webhook-deliveries/{row['id']}/")
                return [attempt["outcome"] for attempt in whole["attempts"]]
        return []
