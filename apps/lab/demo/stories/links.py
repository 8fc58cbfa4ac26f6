"""Link failures: the ring, a PoP's only backhaul, two uplinks of one router, two at once."""

from apps.lab.demo.milestones import is_opening
from apps.lab.demo.network import DEFAULT_PROBE_SECONDS, POLLING, PROBE_SECONDS
from apps.lab.demo.report import Report
from apps.lab.demo.stories.context import Context
from apps.lab.demo.stories.story import SETTLE_WITHIN, Expected, Scenario, Story

#: Agents receive a changed configuration with their next heartbeat.
CONFIG_WITHIN = 14.0
#: Down for half of it: shorter than the rule's ``for``, longer than a poll.
FLAP_PERIOD_SECONDS = 13


class RingCut(Story):
    """Redundancy is lost and no router is cut off. Runs with the shipped defaults: polling and probes of a new tenant,
    rules without overrides."""

    key, name = "a", "a cut of the core ring (shipped defaults)"
    expected_seconds = 65

    def begin(self, context: Context) -> None:
        """Restore the default polling and probe intervals."""
        self._set_intervals(context, profile={}, probe_seconds=DEFAULT_PROBE_SECONDS)
        context.echo("  default polling, probes and rules for this scenario")
        context.watcher.wait_for(lambda: None, seconds=CONFIG_WITHIN)

    def end(self, context: Context) -> None:
        self._set_intervals(context, profile=POLLING, probe_seconds=PROBE_SECONDS)

    @staticmethod
    def _set_intervals(context: Context, *, profile: dict[str, int], probe_seconds: int) -> None:
        for row in context.rest.all("/devices/"):
            context.rest.patch(f"/devices/{row['id']}/", {"polling_profile": profile})
        for row in context.rest.all("/probe-targets/"):
            context.rest.patch(f"/probe-targets/{row['id']}/", {"interval_seconds": probe_seconds})

    def draw(self, context: Context) -> Scenario:
        link = context.choose(row["id"] for row in context.links("core"))
        return Scenario([{"kind": "link_cut", "link": link}], [Expected(link)])


class BackhaulCut(Story):
    """A PoP's only backhaul: everything behind it is suppressed, its subscribers are counted."""

    key, name = "b", "a cut of a PoP's only backhaul"
    expected_seconds = 42

    def draw(self, context: Context) -> Scenario:
        link = context.link(context.choose(row["id"] for row in context.links("backhaul")))
        unreachable = context.routers_of(context.site_of(link["z"]["device"]))
        expected = Expected(link["id"], unreachable, context.sessions_on(unreachable))
        return Scenario([{"kind": "link_cut", "link": link["id"]}], [expected])

    def act(self, context: Context, scenario: Scenario, report: Report) -> None:
        """An operator acknowledges the incident and writes a note."""
        for incident_id in scenario.incidents.values():
            context.post_with_retries(f"/incidents/{incident_id}/ack/")
            context.post_with_retries(
                f"/incidents/{incident_id}/notes/", {"text": "Fibre crew called"}
            )
            reserved = context.watcher.incident(incident_id)["acked_by"]
            report.holds("acknowledged", "by the caller", reserved, is_right=bool(reserved))


class DualHomed(Story):
    """The first of two uplinks cuts nothing off; the second one does, and both are named as causes."""

    key, name = "g", "a dual-homed router loses one uplink, then both"

    def draw(self, context: Context) -> Scenario:
        first, second = context.rng.sample(self._uplinks(context), 2)
        unreachable = frozenset({"acc3"})
        expected = Expected(
            first,
            unreachable,
            context.sessions_on(unreachable),
            causes=frozenset({first, second}),
        )
        cuts = [{"kind": "link_cut", "link": link} for link in (first, second)]
        return Scenario(cuts[:1], [expected], later=cuts[1:])

    def act(self, context: Context, scenario: Scenario, report: Report) -> None:
        """Without impact while one uplink is up; then it fails too."""
        for incident_id in scenario.incidents.values():
            impact = context.watcher.incident(incident_id)["impact"]
            report.equal("routers cut off by one uplink", 0, impact["devices_affected"])

        for failure in scenario.later:
            self.inject_failure(context, scenario, failure)

        def both() -> bool | None:
            for incident_id in scenario.incidents.values():
                if len(context.watcher.incident(incident_id)["root_causes"]) > 1:
                    return True
            return None

        context.watcher.wait_for(both, seconds=context.patience(SETTLE_WITHIN))

    @staticmethod
    def _uplinks(context: Context) -> list[str]:
        return sorted(
            row["id"]
            for row in context.topology["links"]
            if row["z"] and "acc3" in {row["a"]["device"], row["z"]["device"]}
        )


class FlappingLink(Story):
    """A bad splice: the link flaps faster than the rule's ``for``. One incident reports flapping."""

    key, name = "k", "a link flaps"
    expected_seconds = 140

    def draw(self, context: Context) -> Scenario:
        # Not a router whose API another running story locks, whichever chooses first.
        link = context.choose(
            row["id"] for row in context.links("core") if context.is_unreserved(row)
        )
        context.reserve_routers_of(link)
        expected = Expected(link, is_hard=False, subscribers=None)
        return Scenario(
            [{"kind": "flap", "link": link, "period_s": FLAP_PERIOD_SECONDS}], [expected]
        )

    def act(self, context: Context, scenario: Scenario, report: Report) -> None:
        """The incident is marked as flapping, although the link is up half of the time."""
        for incident_id in scenario.incidents.values():

            def flapping(incident_id: str = incident_id) -> bool | None:
                incident = context.watcher.incident(incident_id)
                return (incident["is_flapping"] and "flapping" in incident["title"]) or None

            is_reported = bool(
                context.watcher.wait_for(flapping, seconds=context.patience(SETTLE_WITHIN))
            )
            title = context.watcher.incident(incident_id)["title"]
            report.holds("reported as", "flapping", title, is_right=is_reported)

    def afterwards(self, context: Context, scenario: Scenario, report: Report) -> None:
        """Single flaps cause no notifications."""
        for incident_id in scenario.incidents.values():
            opened = [row for row in context.watcher.received(incident_id) if is_opening(row)]
            report.equal("opened events", 1, len(opened))


class TwoAtOnce(Story):
    """Two unrelated failures: two incidents, neither suppressed by the other."""

    key, name = "l", "two unrelated failures at once"
    expected_seconds = 80

    def draw(self, context: Context) -> Scenario:
        backhaul = context.link(context.choose(row["id"] for row in context.links("backhaul")))
        unreachable = context.routers_of(context.site_of(backhaul["z"]["device"]))
        ring_links = [
            row["id"]
            for row in context.links("core")
            if backhaul["a"]["device"] not in {row["a"]["device"], row["z"]["device"]}
        ]
        link = context.choose(ring_links)
        return Scenario(
            [{"kind": "link_cut", "link": backhaul["id"]}, {"kind": "link_cut", "link": link}],
            [
                Expected(backhaul["id"], unreachable, context.sessions_on(unreachable)),
                Expected(link),
            ],
        )
