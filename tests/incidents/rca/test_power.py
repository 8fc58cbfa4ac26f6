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
    pk,
    port,
    snapshot,
    symptom,
    wire,
)


def on_batteries(*names: str) -> list:
    return [
        symptom("power_lost", dev(name), seconds=-60 + n, severity="warn")
        for n, name in enumerate(names)
    ]


class TestPower:
    NORTH = ("agg1", "bng1", "acc1")

    def test_a_site_on_batteries_is_one_trouble_of_the_site_and_nobody_is_cut_off(self):
        (trouble,) = reach_verdict(snapshot(on_batteries(*self.NORTH))).troubles

        assert trouble.root == ("site", pk("north"))
        assert trouble.impact.device_ids == ()
        assert trouble.suppressed == ()  # they are the site's own voice
        assert trouble.title == "north has lost a power feed: 3 routers run on"
        assert trouble.severity == "warn"

    def test_two_of_its_routers_are_enough(self):
        (trouble,) = reach_verdict(snapshot(on_batteries("agg1", "acc1"))).troubles

        assert trouble.root == ("site", pk("north"))

    def test_work_on_one_of_them_did_not_take_its_power(self):
        change = ConfigChange(pk("acc1"), NOON - timedelta(minutes=4), "firewall")

        seen = snapshot(on_batteries("agg1", "acc1"), changes=[change])

        (trouble,) = reach_verdict(seen).troubles
        assert trouble.root == ("site", pk("north"))

    def test_supplies_that_failed_on_different_days_are_no_feed(self):
        first, second = on_batteries("agg1", "acc1")
        long_ago = replace(first, since=first.since - timedelta(hours=20))

        verdict = reach_verdict(snapshot([long_ago, second]))

        assert {row.root for row in verdict.troubles} == {dev("agg1"), dev("acc1")}

    def test_one_router_alone_has_a_broken_supply(self):
        (trouble,) = reach_verdict(snapshot(on_batteries("bng1"))).troubles

        assert trouble.root == dev("bng1")
        assert trouble.title == "bng1 has lost a power supply"

    def test_gone_dark_after_that_it_is_the_site_and_not_its_backhaul(self):
        seen, dark = backhaul_cut()

        (trouble,) = reach_verdict(
            snapshot([*seen, *on_batteries(*self.NORTH)], dark=dark)
        ).troubles

        assert trouble.root == ("site", pk("north"))
        assert trouble.confidence > 0.9
        assert trouble.impact.device_ids == tuple(sorted(map(pk, dark)))
        held = {row.alert_id for row in trouble.suppressed}
        shown = {row.kind for row in trouble.symptoms if row.alert_id not in held}
        assert shown == {"power_lost"}
        assert trouble.title == "north is without power: 3 routers lost"

    def test_without_a_word_from_its_supplies_the_site_is_a_rival_and_no_more(self):
        seen, dark = backhaul_cut()

        (trouble,) = reach_verdict(snapshot(seen, dark=dark)).troubles

        assert trouble.root == wire("cr2-agg1")
        assert ("site", pk("north")) in {ref for ref, *_ in trouble.causes[0].rivals}

    def test_supplies_elsewhere_do_not_turn_a_cut_into_a_power_loss(self):
        seen, dark = backhaul_cut()

        verdict = reach_verdict(snapshot([*seen, *on_batteries("agg2", "bng2")], dark=dark))

        assert {row.root for row in verdict.troubles} == {wire("cr2-agg1"), ("site", pk("south"))}


class TestTwoAtOnce:
    def test_two_uplinks_and_a_site_without_power_are_two_troubles(self):
        """However they are found: those that failed together find each other, and nobody else."""
        graph = isp((*LINKS, "cr2-lone", "cr4-lone"))
        dark = ("lone", "agg2", "acc2", "bng2")
        seen = [
            symptom("interface_down", port(*end), seconds=seconds)
            for end, seconds in (
                (("cr4", "cr4-lone"), -40),
                (("lone", "cr4-lone"), -40),
                (("cr2", "cr2-lone"), -20),
            )
        ]
        seen += [symptom("unreachable", dev(name), seconds=-17) for name in dark]
        seen += on_batteries("agg2", "acc2", "bng2")
        seen.append(symptom("interface_down", port("cr4", "cr4-agg2"), seconds=-16))

        verdict = reach_verdict(snapshot(seen, graph=graph, dark=dark))

        causes = [{cause.ref for cause in row.causes} for row in verdict.troubles]
        assert {("site", pk("south"))} in causes
        assert {wire("cr2-lone"), wire("cr4-lone")} in causes
        assert len(causes) == 2
