"""Late data: an agent that was cut off sends its buffer afterwards. Past samples fire no alerts."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from apps.lab.demo.network import POLLING
from apps.lab.demo.report import Report
from apps.lab.demo.stories.context import Context
from apps.lab.demo.stories.story import SETTLE_WITHIN, Expected, Scenario, Story

INNER = "agg1-bng1"
INNER_SECONDS = 25.0
ARRIVES_WITHIN = 45.0
#: A longer gap between two samples of a polled router means that a sample was lost.
GAP = timedelta(seconds=2.5 * POLLING["fast_s"])


class UplinkCut(Story):
    """An agent's uplink is cut. Behind the cut a second link fails and recovers, which only that agent observes. After
    the uplink returns, all samples are stored exactly once, and no alert fires for what is over."""

    key, name = "f", "an agent's uplink is cut and restored"
    expected_seconds = 100

    def draw(self, context: Context) -> Scenario:
        agent = next(row for row in context.topology["agents"] if row["site"] != "hub")
        site = str(agent["site"])
        unreachable = context.routers_of(site)
        link = next(
            row["id"]
            for row in context.links("backhaul")
            if row["z"] and row["z"]["device"] == agent["attached_to"]
        )
        context.reserved.update({link, *unreachable})
        context.times_used[link] += 1
        self._cut_at = self._back_at = datetime.now(UTC)
        expected = Expected(link, unreachable, context.sessions_on(unreachable))
        return Scenario([{"kind": "link_cut", "link": link}], [expected])

    def act(self, context: Context, scenario: Scenario, report: Report) -> None:
        """Behind the cut, a link fails for longer than the rule's ``for`` and recovers."""
        self._cut_at = datetime.now(UTC)

        def all_unreachable() -> bool | None:
            suppressed = [
                context.watcher.suppressed_devices(pk) for pk in scenario.incidents.values()
            ]
            return (bool(suppressed) and suppressed[0] >= scenario.expected[0].unreachable) or None

        context.watcher.wait_for(all_unreachable, seconds=context.patience(SETTLE_WITHIN))
        inner = self.inject_failure(context, scenario, {"kind": "link_cut", "link": INNER})
        context.watcher.wait_for(lambda: None, seconds=INNER_SECONDS)
        self.heal(context, inner)
        # The agent polls the recovered link before the uplink returns.
        context.watcher.wait_for(lambda: None, seconds=POLLING["fast_s"] + 2)
        self._back_at = datetime.now(UTC)

    def afterwards(self, context: Context, scenario: Scenario, report: Report) -> None:
        """No sample lost or duplicated, no alert fired."""
        device = "agg1"
        devices = {row["name"]: row["id"] for row in context.rest.all("/devices/")}
        port = context.link(INNER)["a"]["interface"]
        ports = {
            row["name"]: row["id"]
            for row in context.rest.all("/interfaces/", device=devices[device])
        }

        def read(metric: str, entity_id: str) -> list[tuple[datetime, float]]:
            query = {
                "metric": metric,
                "entity_id": entity_id,
                "start": self._cut_at.isoformat(),
                "end": self._back_at.isoformat(),
            }
            rows = context.rest.get("/metrics/query/", **query)["points"]
            return [(datetime.fromisoformat(row["ts"]), row["value"]) for row in rows]

        def arrived() -> bool | None:
            rows = read("device.api.up", devices[device])
            return (bool(rows) and rows[-1][0] > self._back_at - GAP) or None

        context.watcher.wait_for(arrived, seconds=ARRIVES_WITHIN)
        times = [ts for ts, _ in read("device.api.up", devices[device])]
        edges = [self._cut_at, *times, self._back_at]
        longest = max((later - earlier for earlier, later in pairwise(edges)), default=GAP)
        report.holds(
            "samples from behind the cut",
            f"no gap above {GAP.total_seconds():.1f} s",
            f"{len(times)}, longest gap {longest.total_seconds():.1f} s",
            is_right=bool(times) and longest <= GAP,
        )
        report.equal("duplicate samples", 0, len(times) - len(set(times)))
        seen = [value for _, value in read("interface.oper_up", ports[port])]
        report.holds(
            "the link that failed meanwhile",
            "stored as down and up",
            seen,
            is_right={0, 1} <= set(seen),
        )
        reported = [
            row["summary"]
            for row in context.rest.get("/alerts/", page_size="200")["results"]
            if row["entity"]["label"]
            in {f"{device} {port}", "bng1 " + context.link(INNER)["z"]["interface"]}
            and row["fired_at"]
            and datetime.fromisoformat(row["fired_at"]) > self._cut_at
        ]
        report.equal("alerts fired in the past", [], reported)
