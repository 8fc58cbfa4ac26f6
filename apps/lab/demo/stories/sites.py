"""Whole sites: one without power, one under maintenance."""

from datetime import UTC, datetime, timedelta

from apps.lab.demo.report import Report
from apps.lab.demo.stories.context import Context
from apps.lab.demo.stories.story import SETTLE_WITHIN, Expected, Scenario, Story

BATTERY_SECONDS = 40
WINDOW = timedelta(minutes=30)


def site_names(context: Context) -> dict[str, str]:
    """Site names on the platform by the simulator's key."""
    return {row["key"]: row["name"] for row in context.topology["sites"]}


class PowerLost(Story):
    """Mains fail, batteries drain, the site becomes unreachable: one incident of the site from the first alert on."""

    key, name = "d", "a PoP loses its power"
    expected_seconds = 110

    def draw(self, context: Context) -> Scenario:
        backhauls = {
            row["id"]: context.site_of(row["z"]["device"]) for row in context.links("backhaul")
        }
        link = context.choose(backhauls)
        site = backhauls[link]
        unreachable = context.routers_of(site)
        context.reserved.update(unreachable)
        expected = Expected(
            site_names(context)[site], unreachable, context.sessions_on(unreachable), is_hard=False
        )
        failure = {"kind": "power_loss", "site": site, "battery_s": BATTERY_SECONDS}
        return Scenario([failure], [expected])

    def act(self, context: Context, scenario: Scenario, report: Report) -> None:
        """On batteries no device is cut off, and the cause is named already."""
        for incident_id in scenario.incidents.values():
            incident = context.watcher.incident(incident_id)
            report.holds(
                "reported before it became unreachable",
                "a warning, 0 cut off",
                f"{incident['severity']}, {incident['impact']['devices_affected']} cut off",
                is_right=incident["severity"] == "warn"
                and incident["impact"]["devices_affected"] == 0,
            )

            def unreachable(incident_id: str = incident_id) -> bool | None:
                impact = context.watcher.incident(incident_id)["impact"]
                return impact["devices_affected"] >= len(scenario.expected[0].unreachable) or None

            context.watcher.wait_for(
                unreachable, seconds=context.patience(SETTLE_WITHIN + BATTERY_SECONDS)
            )

    def afterwards(self, context: Context, scenario: Scenario, report: Report) -> None:
        """The closed incident keeps its greatest impact, whatever the order of recovery."""
        for incident_id in scenario.incidents.values():
            incident = context.watcher.incident(incident_id)
            reported = (incident["severity"], incident["impact"]["devices_affected"])
            report.equal(
                "severity and impact in the end",
                ("critical", len(scenario.expected[0].unreachable)),
                reported,
            )


class Maintenance(Story):
    """One site is cut off during maintenance and another one fails: only the second one notifies."""

    key, name = "m", "maintenance on one site while another fails"
    expected_seconds = 75

    def draw(self, context: Context) -> Scenario:
        backhauls = {
            row["id"]: context.site_of(row["z"]["device"]) for row in context.links("backhaul")
        }
        maintained, failing = context.choose(backhauls), context.choose(backhauls)
        self._site = site_names(context)[backhauls[maintained]]
        self._window = ""
        expected = []
        for link in (maintained, failing):
            unreachable = context.routers_of(backhauls[link])
            context.reserved.update(unreachable)
            expected.append(
                Expected(
                    link,
                    unreachable,
                    context.sessions_on(unreachable),
                    in_maintenance=link == maintained,
                )
            )
        return Scenario([{"kind": "link_cut", "link": link} for link in backhauls], expected)

    def begin(self, context: Context) -> None:
        """An operator plans the maintenance window."""
        sites = {row["name"]: row["id"] for row in context.rest.all("/sites/")}
        now = datetime.now(UTC)
        window = context.rest.post(
            "/maintenance-windows/",
            {
                "title": f"Works on {self._site}",
                "sites": [sites[self._site]],
                "starts_at": now.isoformat(),
                "ends_at": (now + WINDOW).isoformat(),
            },
        )
        self._window = str(window["id"])
        context.echo(f"  maintenance planned on {self._site} ...")

    def act(self, context: Context, scenario: Scenario, report: Report) -> None:
        """Alerts still fire during the window and are flagged."""

        def flagged() -> list[str] | None:
            rows = context.rest.get("/alerts/", state="firing")["results"]
            return [row["entity"]["label"] for row in rows if row["in_maintenance"]] or None

        seen = context.watcher.wait_for(flagged, seconds=SETTLE_WITHIN) or []
        report.holds("alerts in maintenance", "firing, and flagged", len(seen), is_right=bool(seen))

    def afterwards(self, context: Context, scenario: Scenario, report: Report) -> None:
        """The window is ended early."""
        context.post_with_retries(f"/maintenance-windows/{self._window}/end/")
        state = context.rest.get(f"/maintenance-windows/{self._window}/")["state"]
        report.equal("the window in the end", "over", state)
