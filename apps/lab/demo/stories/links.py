"""Wires: the ring, a PoP's only way out, two uplinks of one router."""

from apps.lab.demo.findings import Report
from apps.lab.demo.moments import tells_of_opening
from apps.lab.demo.network import DEFAULT_PROBE_SECONDS, POLLING, PROBE_SECONDS
from apps.lab.demo.stories.scene import Scene
from apps.lab.demo.stories.story import SETTLE_WITHIN, Expected, Plot, Story

#: Agents hear of a changed config with their next heartbeat.
HEARD_WITHIN = 14.0
#: Dark for half of it: shorter than a rule waits, longer than a poll takes.
FLAP_PERIOD_SECONDS = 13


class RingCut(Story):
    """The ring has another way round: redundancy is lost and nobody is cut off. Played on shipped defaults: polling and
    probes as every new tenant has them, rules without overrides."""

    key, name = "a", "a cut of the core ring (shipped defaults)"
    expected_seconds = 65

    def begin(self, scene: Scene) -> None:
        """As shipped, from the next poll on."""
        self._pace(scene, profile={}, probe_seconds=DEFAULT_PROBE_SECONDS)
        scene.say("  polling, probes and rules are as shipped for this story")
        scene.watcher.wait_for(lambda: None, seconds=HEARD_WITHIN)

    def end(self, scene: Scene) -> None:
        self._pace(scene, profile=POLLING, probe_seconds=PROBE_SECONDS)

    @staticmethod
    def _pace(scene: Scene, *, profile: dict[str, int], probe_seconds: int) -> None:
        for row in scene.rest.all("/devices/"):
            scene.rest.patch(f"/devices/{row['id']}/", {"polling_profile": profile})
        for row in scene.rest.all("/probe-targets/"):
            scene.rest.patch(f"/probe-targets/{row['id']}/", {"interval_seconds": probe_seconds})

    def draw(self, scene: Scene) -> Plot:
        link = scene.choose(row["id"] for row in scene.links("core"))
        return Plot([{"kind": "link_cut", "link": link}], [Expected(link)])


class BackhaulCut(Story):
    """A PoP's only way out: everything behind it is a consequence, its subscribers are counted."""

    key, name = "b", "a cut of a PoP's only backhaul"
    expected_seconds = 42

    def draw(self, scene: Scene) -> Plot:
        link = scene.link(scene.choose(row["id"] for row in scene.links("backhaul")))
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
            self.break_it(scene, plot, failure)

        def both() -> bool | None:
            for incident_id in plot.incidents.values():
                if len(scene.watcher.incident(incident_id)["root_causes"]) > 1:
                    return True
            return None

        scene.watcher.wait_for(both, seconds=scene.patience(SETTLE_WITHIN))

    @staticmethod
    def _uplinks(scene: Scene) -> list[str]:
        return sorted(
            row["id"]
            for row in scene.topology["links"]
            if row["z"] and "acc3" in {row["a"]["device"], row["z"]["device"]}
        )


class FlappingLink(Story):
    """A bad splice: the link comes and goes faster than any single outage would be told. One incident says so."""

    key, name = "k", "a link flaps"
    expected_seconds = 140

    def draw(self, scene: Scene) -> Plot:
        # A router whose port flaps is not one whose API a story beside this locks, whichever draws first.
        link = scene.choose(row["id"] for row in scene.links("core") if scene.is_apart(row))
        scene.take_routers_of(link)
        expected = Expected(link, is_hard=False, subscribers=None)
        return Plot([{"kind": "flap", "link": link, "period_s": FLAP_PERIOD_SECONDS}], [expected])

    def act(self, scene: Scene, plot: Plot, report: Report) -> None:
        """It is called by its name, although the link is up half of the time."""
        for incident_id in plot.incidents.values():

            def flapping(incident_id: str = incident_id) -> bool | None:
                incident = scene.watcher.incident(incident_id)
                return (incident["is_flapping"] and "flapping" in incident["title"]) or None

            is_told = bool(scene.watcher.wait_for(flapping, seconds=scene.patience(SETTLE_WITHIN)))
            title = scene.watcher.incident(incident_id)["title"]
            report.holds("said of it", "that it is flapping", title, is_right=is_told)

    def afterwards(self, scene: Scene, plot: Plot, report: Report) -> None:
        """Single flaps were held: nobody heard of each of them."""
        for incident_id in plot.incidents.values():
            opened = [row for row in scene.watcher.received(incident_id) if tells_of_opening(row)]
            report.equal("times that it was opened", 1, len(opened))
