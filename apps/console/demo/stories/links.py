"""Wires: the ring, a PoP's only way out, two uplinks of one router."""

from apps.console.demo.findings import Report
from apps.console.demo.stories.scene import Scene
from apps.console.demo.stories.story import SETTLE_WITHIN, Expected, Plot, Story


class RingCut(Story):
    """The ring has another way round: redundancy is lost and nobody is cut off."""

    key, name = "a", "a cut of the core ring"
    expected_seconds = 38

    def draw(self, scene: Scene) -> Plot:
        link = scene.rng.choice(scene.links("core"))["id"]
        return Plot([{"kind": "link_cut", "link": link}], [Expected(link)])


class BackhaulCut(Story):
    """A PoP's only way out: everything behind it is a consequence, its subscribers are counted."""

    key, name = "b", "a cut of a PoP's only backhaul"
    expected_seconds = 42

    def draw(self, scene: Scene) -> Plot:
        link = scene.rng.choice(scene.links("backhaul"))
        dark = scene.routers_of(scene.site_of(link["z"]["device"]))
        expected = Expected(link["id"], dark, scene.sessions_on(dark))
        return Plot([{"kind": "link_cut", "link": link["id"]}], [expected])

    def act(self, scene: Scene, plot: Plot, report: Report) -> None:
        """An operator takes it and writes a note."""
        for incident_id in plot.incidents.values():
            scene.persist(f"/incidents/{incident_id}/ack/")
            scene.persist(f"/incidents/{incident_id}/notes/", {"text": "Fibre crew called"})
            taken = scene.watcher.incident(incident_id)["acked_by"]
            report.holds("acknowledged", "by the caller", taken, is_right=bool(taken))


class DualHomed(Story):
    """One of two uplinks takes nobody away; the second one does, and both are named."""

    key, name = "g", "a dual-homed router loses one uplink, then both"

    def draw(self, scene: Scene) -> Plot:
        first, second = scene.rng.sample(self._uplinks(scene), 2)
        dark = frozenset({"acc3"})
        expected = Expected(
            first,
            dark,
            scene.sessions_on(dark),
            causes=frozenset({first, second}),
        )
        cuts = [{"kind": "link_cut", "link": link} for link in (first, second)]
        return Plot(cuts[:1], [expected], later=cuts[1:])

    def act(self, scene: Scene, plot: Plot, report: Report) -> None:
        """Nobody is hit while one uplink stands; then it goes too."""
        for incident_id in plot.incidents.values():
            impact = scene.watcher.incident(incident_id)["impact"]
            report.equal("routers cut off by one uplink", 0, impact["devices_affected"])

        for failure in plot.later:
            self.break_it(scene, failure)

        def both() -> bool | None:
            for incident_id in plot.incidents.values():
                if len(scene.watcher.incident(incident_id)["root_causes"]) > 1:
                    return True
            return None

        scene.watcher.wait_for(both, seconds=SETTLE_WITHIN)

    @staticmethod
    def _uplinks(scene: Scene) -> list[str]:
        return sorted(
            row["id"]
            for row in scene.topology["links"]
            if row["z"] and "acc3" in {row["a"]["device"], row["z"]["device"]}
        )
