"""What comes in late: an agent that was cut off tells afterwards what it has seen. That is past, and fires nothing."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from apps.lab.demo.findings import Report
from apps.lab.demo.network import POLLING
from apps.lab.demo.stories.scene import Scene
from apps.lab.demo.stories.story import SETTLE_WITHIN, Expected, Plot, Story

INNER = "agg1-bng1"
INNER_SECONDS = 25.0
ARRIVES_WITHIN = 45.0
#: Longer than this between two readings of a router that was read all the time, one was lost.
GAP = timedelta(seconds=2.5 * POLLING["fast_s"])


class UplinkCut(Story):
    """An agent's way to us is cut. Behind the cut a second link breaks and heals again, which only that agent sees.
    When it is back, everything that it saw is there once, and nobody is alarmed for what is over."""

    key, name = "f", "an agent's uplink is cut and restored"
    expected_seconds = 100

    def draw(self, scene: Scene) -> Plot:
        agent = next(row for row in scene.topology["agents"] if row["site"] != "hub")
        site = str(agent["site"])
        dark = scene.routers_of(site)
        link = next(
            row["id"]
            for row in scene.links("backhaul")
            if row["z"] and row["z"]["device"] == agent["attached_to"]
        )
        scene.taken.update({link, *dark})
        scene.worn[link] += 1
        self._cut_at = self._back_at = datetime.now(UTC)
        expected = Expected(link, dark, scene.sessions_on(dark))
        return Plot([{"kind": "link_cut", "link": link}], [expected])

    def act(self, scene: Scene, plot: Plot, report: Report) -> None:  # noqa: ARG002
        """In the dark, a link breaks for longer than any rule waits, and heals."""
        self._cut_at = datetime.now(UTC)

        def all_dark() -> bool | None:
            held = [scene.watcher.held_devices(pk) for pk in plot.incidents.values()]
            return (bool(held) and held[0] >= plot.expected[0].dark) or None

        scene.watcher.wait_for(all_dark, seconds=scene.patience(SETTLE_WITHIN))
        inner = self.break_it(scene, plot, {"kind": "link_cut", "link": INNER})
        scene.watcher.wait_for(lambda: None, seconds=INNER_SECONDS)
        self.heal(scene, inner)
        # Read well again by the agent before the way is open.
        scene.watcher.wait_for(lambda: None, seconds=POLLING["fast_s"] + 2)
        self._back_at = datetime.now(UTC)

    def afterwards(self, scene: Scene, plot: Plot, report: Report) -> None:  # noqa: ARG002
        """Nothing lost, nothing doubled, nothing fired."""
        device = "agg1"
        devices = {row["name"]: row["id"] for row in scene.rest.all("/devices/")}
        port = scene.link(INNER)["a"]["interface"]
        ports = {
            row["name"]: row["id"] for row in scene.rest.all("/interfaces/", device=devices[device])
        }

        def read(metric: str, entity_id: str) -> list[tuple[datetime, float]]:
            query = {
                "metric": metric,
                "entity_id": entity_id,
                "start": self._cut_at.isoformat(),
                "end": self._back_at.isoformat(),
            }
            rows = scene.rest.get("/metrics/query/", **query)["points"]
            return [(datetime.fromisoformat(row["ts"]), row["value"]) for row in rows]

        def arrived() -> bool | None:
            rows = read("device.api.up", devices[device])
            return (bool(rows) and rows[-1][0] > self._back_at - GAP) or None

        scene.watcher.wait_for(arrived, seconds=ARRIVES_WITHIN)
        times = [ts for ts, _ in read("device.api.up", devices[device])]
        edges = [self._cut_at, *times, self._back_at]
        longest = max((later - earlier for earlier, later in pairwise(edges)), default=GAP)
        report.holds(
            "readings from the dark",
            f"no gap above {GAP.total_seconds():.1f} s",
            f"{len(times)}, longest gap {longest.total_seconds():.1f} s",
            is_right=bool(times) and longest <= GAP,
        )
        report.equal("readings doubled", 0, len(times) - len(set(times)))
        seen = [value for _, value in read("interface.oper_up", ports[port])]
        report.holds(
            "the link that broke meanwhile",
            "stored as down and up",
            seen,
            is_right={0, 1} <= set(seen),
        )
        said = [
            row["summary"]
            for row in scene.rest.get("/alerts/", page_size="200")["results"]
            if row["entity"]["label"]
            in {f"{device} {port}", "bng1 " + scene.link(INNER)["z"]["interface"]}
            and row["fired_at"]
            and datetime.fromisoformat(row["fired_at"]) > self._cut_at
        ]
        report.equal("alerts fired in the past", [], said)
