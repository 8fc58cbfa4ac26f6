"""A site without power: told apart from its backhaul where supplies say so, and from troubles beside it."""

from dataclasses import replace
from datetime import timedelta

from apps.incidents.rca.snapshot import ConfigChange
from apps.incidents.rca.verdict import reach_verdict
from tests.incidents.rca.isp import (
    LINKS,
    NOON,
    backhaul_cut,
    dev,
    isp,
    link_ref,
    pk,
    port,
    snapshot,
    symptom,
)


def on_batteries(*names: str) -> list:
    return [
        symptom("power_lost", dev(name), seconds=-60 + n, severity="warn")
        for n, name in enumerate(names)
    ]


class TestPower:
    NORTH = ("agg1", "bng1", "acc1")

    def test_a_site_on_batteries_is_one_trouble_of_the_site_and_nobody_is_cut_off(self):
        (problem,) = reach_verdict(snapshot(on_batteries(*self.NORTH))).problems

        assert problem.root == ("site", pk("north"))
        assert problem.impact.device_ids == ()
        assert problem.suppressed == ()  # they are the site's own voice
        assert problem.title.english == "north has lost a power feed: 3 routers still running"
        assert problem.severity == "warn"

    def test_two_of_its_routers_are_enough(self):
        (problem,) = reach_verdict(snapshot(on_batteries("agg1", "acc1"))).problems

        assert problem.root == ("site", pk("north"))

    def test_work_on_one_of_them_did_not_take_its_power(self):
        change = ConfigChange(pk("acc1"), NOON - timedelta(minutes=4), "firewall")

        seen = snapshot(on_batteries("agg1", "acc1"), changes=[change])

        (problem,) = reach_verdict(seen).problems
        assert problem.root == ("site", pk("north"))

    def test_supplies_that_failed_on_different_days_are_no_feed(self):
        first, second = on_batteries("agg1", "acc1")
        long_ago = replace(first, since=first.since - timedelta(hours=20))

        verdict = reach_verdict(snapshot([long_ago, second]))

        assert {row.root for row in verdict.problems} == {dev("agg1"), dev("acc1")}

    def test_one_router_alone_has_a_broken_supply(self):
        (problem,) = reach_verdict(snapshot(on_batteries("bng1"))).problems

        assert problem.root == dev("bng1")
        assert problem.title.english == "bng1 has lost a power supply"

    def test_gone_dark_after_that_it_is_the_site_and_not_its_backhaul(self):
        seen, unreachable = backhaul_cut()

        (problem,) = reach_verdict(
            snapshot([*seen, *on_batteries(*self.NORTH)], unreachable=unreachable)
        ).problems

        assert problem.root == ("site", pk("north"))
        assert problem.confidence > 0.9
        assert problem.impact.device_ids == tuple(sorted(map(pk, unreachable)))
        held = {row.alert_id for row in problem.suppressed}
        shown = {row.kind for row in problem.symptoms if row.alert_id not in held}
        assert shown == {"power_lost"}
        assert problem.title.english == "north is without power: 3 routers lost"

    def test_without_a_word_from_its_supplies_the_site_is_a_rival_and_no_more(self):
        seen, unreachable = backhaul_cut()

        (problem,) = reach_verdict(snapshot(seen, unreachable=unreachable)).problems

        assert problem.root == link_ref("cr2-agg1")
        assert ("site", pk("north")) in {ref for ref, *_ in problem.causes[0].alternatives}

    def test_supplies_elsewhere_do_not_turn_a_cut_into_a_power_loss(self):
        seen, unreachable = backhaul_cut()

        verdict = reach_verdict(
            snapshot([*seen, *on_batteries("agg2", "bng2")], unreachable=unreachable)
        )

        assert {row.root for row in verdict.problems} == {
            link_ref("cr2-agg1"),
            ("site", pk("south")),
        }


class TestTwoAtOnce:
    def test_two_uplinks_and_a_site_without_power_are_two_troubles(self):
        """However they are found: those that failed together find each other, and nobody else."""
        graph = isp((*LINKS, "cr2-lone", "cr4-lone"))
        unreachable = ("lone", "agg2", "acc2", "bng2")
        seen = [
            symptom("interface_down", port(*end), seconds=seconds)
            for end, seconds in (
                (("cr4", "cr4-lone"), -40),
                (("lone", "cr4-lone"), -40),
                (("cr2", "cr2-lone"), -20),
            )
        ]
        seen += [symptom("unreachable", dev(name), seconds=-17) for name in unreachable]
        seen += on_batteries("agg2", "acc2", "bng2")
        seen.append(symptom("interface_down", port("cr4", "cr4-agg2"), seconds=-16))

        verdict = reach_verdict(snapshot(seen, graph=graph, unreachable=unreachable))

        causes = [{cause.ref for cause in row.causes} for row in verdict.problems]
        assert {("site", pk("south"))} in causes
        assert {link_ref("cr2-lone"), link_ref("cr4-lone")} in causes
        assert len(causes) == 2
