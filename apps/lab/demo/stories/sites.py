"""Whole sites: one without power, one under announced work."""

from datetime import UTC, datetime, timedelta

from apps.lab.demo.findings import Report
from apps.lab.demo.stories.scene import Scene
from apps.lab.demo.stories.story import SETTLE_WITHIN, Expected, Plot, Story

BATTERY_SECONDS = 40
WINDOW = timedelta(minutes=30)


def site_names(scene: Scene) -> dict[str, str]:
    """What the platform calls each site, by the simulator's key."""
    return {row["key"]: row["name"] for row in scene.topology["sites"]}


class PowerLost(Story):
    """The mains fail, the batteries empty, the site goes dark: one incident of the site from its first sign on."""

    key, name = "d", "a PoP loses its power"
    expected_seconds = 110

    def draw(self, scene: Scene) -> Plot:
        ways_in = {row["id"]: scene.site_of(row["z"]["device"]) for row in scene.links("backhaul")}
        link = scene.choose(ways_in)
        site = ways_in[link]
        dark = scene.routers_of(site)
        scene.taken.update(dark)
        expected = Expected(site_names(scene)[site], dark, scene.sessions_on(dark), is_hard=False)
        wish = {"kind": "power_loss", "site": site, "battery_s": BATTERY_SECONDS}
        return Plot([wish], [expected])

    def act(self, scene: Scene, plot: Plot, report: Report) -> None:
        """While it runs on batteries, nobody is cut off and the cause has its name already."""
        for incident_id in plot.incidents.values():
            incident = scene.watcher.incident(incident_id)
            report.holds(
                "told before it went dark",
                "a warning, nobody cut off",
                f"{incident['severity']}, {incident['impact']['devices_affected']} cut off",
                is_right=incident["severity"] == "warn"
                and incident["impact"]["devices_affected"] == 0,
            )

            def dark(incident_id: str = incident_id) -> bool | None:
                impact = scene.watcher.incident(incident_id)["impact"]
                return impact["devices_affected"] >= len(plot.expected[0].dark) or None

            scene.watcher.wait_for(dark, seconds=scene.patience(SETTLE_WITHIN + BATTERY_SECONDS))

    def afterwards(self, scene: Scene, plot: Plot, report: Report) -> None:
        """Closed, it goes on saying what it was, in whatever order things came back."""
        for incident_id in plot.incidents.values():
            incident = scene.watcher.incident(incident_id)
            said = (incident["severity"], incident["impact"]["devices_affected"])
            report.equal("what is said in the end", ("critical", len(plot.expected[0].dark)), said)


class Maintenance(Story):
    """Announced work takes one site away, and another one fails by itself: only of that is anybody told."""

    key, name = "m", "maintenance on one site while another fails"
    expected_seconds = 75

    def draw(self, scene: Scene) -> Plot:
        ways_in = {row["id"]: scene.site_of(row["z"]["device"]) for row in scene.links("backhaul")}
        worked_on, failing = scene.choose(ways_in), scene.choose(ways_in)
        self._site = site_names(scene)[ways_in[worked_on]]
        self._window = ""
        expected = []
        for link in (worked_on, failing):
            dark = scene.routers_of(ways_in[link])
            scene.taken.update(dark)
            expected.append(
                Expected(link, dark, scene.sessions_on(dark), is_held=link == worked_on)
            )
        return Plot([{"kind": "link_cut", "link": link} for link in ways_in], expected)

    def begin(self, scene: Scene) -> None:
        """An operator announces it."""
        sites = {row["name"]: row["id"] for row in scene.rest.all("/sites/")}
        now = datetime.now(UTC)
        window = scene.rest.post(
            "/maintenance-windows/",
            {
                "title": f"Works on {self._site}",
                "sites": [sites[self._site]],
                "starts_at": now.isoformat(),
                "ends_at": (now + WINDOW).isoformat(),
            },
        )
        self._window = str(window["id"])
        scene.say(f"  maintenance announced on {self._site} ...")

    def act(self, scene: Scene, plot: Plot, report: Report) -> None:  # noqa: ARG002
        """Alerts go on living under the window, and say so."""

        def flagged() -> list[str] | None:
            rows = scene.rest.get("/alerts/", state="firing")["results"]
            return [row["entity"]["label"] for row in rows if row["in_maintenance"]] or None

        seen = scene.watcher.wait_for(flagged, seconds=SETTLE_WITHIN) or []
        report.holds("alerts in maintenance", "firing, and flagged", len(seen), is_right=bool(seen))

    def afterwards(self, scene: Scene, plot: Plot, report: Report) -> None:  # noqa: ARG002
        """The window ends when it is said to."""
        scene.persist(f"/maintenance-windows/{self._window}/end/")
        state = scene.rest.get(f"/maintenance-windows/{self._window}/")["state"]
        report.equal("the window in the end", "over", state)
