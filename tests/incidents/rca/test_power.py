"""A site without power is distinguished from a cut backhaul by its power supplies, and from other problems."""

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

    def test_a_site_on_batteries_is_one_problem_and_no_router_is_cut_off(self):
        (problem,) = reach_verdict(snapshot(on_batteries(*self.NORTH))).problems

        assert problem.root == ("site", pk("north"))
        assert problem.impact.device_ids == ()
        assert problem.suppressed == ()  # they are the site's root-cause alerts
        assert problem.title.english == "north has lost a power feed: 3 routers still running"
        assert problem.severity == "warn"

    def test_two_routers_of_the_site_are_enough(self):
        (problem,) = reach_verdict(snapshot(on_batteries("agg1", "acc1"))).problems

        assert problem.root == ("site", pk("north"))

    def test_a_configuration_change_is_not_the_cause_of_a_power_loss(self):
        change = ConfigChange(pk("acc1"), NOON - timedelta(minutes=4), "firewall")

        symptoms = snapshot(on_batteries("agg1", "acc1"), changes=[change])

        (problem,) = reach_verdict(symptoms).problems
        assert problem.root == ("site", pk("north"))

    def test_supplies_that_failed_on_different_days_do_not_share_a_feed(self):
        first, second = on_batteries("agg1", "acc1")
        long_ago = replace(first, since=first.since - timedelta(hours=20))

        verdict = reach_verdict(snapshot([long_ago, second]))

        assert {row.root for row in verdict.problems} == {dev("agg1"), dev("acc1")}

    def test_a_single_router_has_lost_a_power_supply(self):
        (problem,) = reach_verdict(snapshot(on_batteries("bng1"))).problems

        assert problem.root == dev("bng1")
        assert problem.title.english == "bng1 has lost a power supply"

    def test_unreachable_after_a_power_loss_the_site_is_the_cause_and_not_its_backhaul(self):
        symptoms, unreachable = backhaul_cut()

        (problem,) = reach_verdict(
            snapshot([*symptoms, *on_batteries(*self.NORTH)], unreachable=unreachable)
        ).problems

        assert problem.root == ("site", pk("north"))
        assert problem.confidence > 0.9
        assert problem.impact.device_ids == tuple(sorted(map(pk, unreachable)))
        suppressed_ids = {row.alert_id for row in problem.suppressed}
        root_cause_kinds = {
            row.kind for row in problem.symptoms if row.alert_id not in suppressed_ids
        }
        assert root_cause_kinds == {"power_lost"}
        assert problem.title.english == "north is without power: 3 routers lost"

    def test_without_power_alerts_the_site_is_only_an_alternative(self):
        symptoms, unreachable = backhaul_cut()

        (problem,) = reach_verdict(snapshot(symptoms, unreachable=unreachable)).problems

        assert problem.root == link_ref("cr2-agg1")
        assert ("site", pk("north")) in {ref for ref, *_ in problem.causes[0].alternatives}

    def test_power_alerts_of_another_site_do_not_turn_a_cut_into_a_power_loss(self):
        symptoms, unreachable = backhaul_cut()

        verdict = reach_verdict(
            snapshot([*symptoms, *on_batteries("agg2", "bng2")], unreachable=unreachable)
        )

        assert {row.root for row in verdict.problems} == {
            link_ref("cr2-agg1"),
            ("site", pk("south")),
        }


class TestSimultaneousProblems:
    def test_two_uplinks_and_a_site_without_power_are_two_problems(self):
        """Whatever the order in which the causes are found, only those that failed together are grouped."""
        graph = isp((*LINKS, "cr2-lone", "cr4-lone"))
        unreachable = ("lone", "agg2", "acc2", "bng2")
        symptoms = [
            symptom("interface_down", port(*end), seconds=seconds)
            for end, seconds in (
                (("cr4", "cr4-lone"), -40),
                (("lone", "cr4-lone"), -40),
                (("cr2", "cr2-lone"), -20),
            )
        ]
        symptoms += [symptom("unreachable", dev(name), seconds=-17) for name in unreachable]
        symptoms += on_batteries("agg2", "acc2", "bng2")
        symptoms.append(symptom("interface_down", port("cr4", "cr4-agg2"), seconds=-16))

        verdict = reach_verdict(snapshot(symptoms, graph=graph, unreachable=unreachable))

        causes = [{cause.ref for cause in row.causes} for row in verdict.problems]
        assert {("site", pk("south"))} in causes
        assert {link_ref("cr2-lone"), link_ref("cr4-lone")} in causes
        assert len(causes) == 2
