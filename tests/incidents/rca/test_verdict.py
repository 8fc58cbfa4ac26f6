"""Verdicts on the troubles that operators know."""

import json
import random
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.incidents.rca.snapshot import AgentHeartbeat, ConfigChange, Snapshot, live_agents
from apps.incidents.rca.verdict import reach_verdict
from apps.topology.graph import BgpPeer, Interface
from tests.incidents.rca.isp import (
    LINKS,
    NOON,
    adjacency,
    backhaul_cut,
    dev,
    isp,
    link_ref,
    pk,
    port,
    ring_cut,
    sample_down,
    sample_up,
    snapshot,
    symptom,
)


class TestBackhaulCut:
    def test_names_the_link_and_holds_back_what_is_behind_it(self):
        symptoms, unreachable = backhaul_cut()

        (problem,) = reach_verdict(snapshot(symptoms, unreachable=unreachable)).problems

        assert problem.root == link_ref("cr2-agg1")
        assert 0.5 < problem.confidence < 0.9  # a dead agg1 looks the same from here
        assert {ref for ref, *_ in problem.causes[0].alternatives} >= {dev("agg1")}
        assert problem.impact.device_ids == tuple(sorted(map(pk, unreachable)))
        assert problem.impact.service_ids == (pk("pppoe-bng1"),)
        held = {row.alert_id for row in problem.suppressed}
        shown = [row for row in problem.symptoms if row.alert_id not in held]
        assert [row.ref for row in shown] == [port("cr2", "cr2-agg1")]
        assert all(row.by == link_ref("cr2-agg1") and row.reason for row in problem.suppressed)

    def test_a_router_behind_it_that_answers_speaks_against_it(self):
        symptoms = [row for row in backhaul_cut()[0] if row.ref != dev("acc1")]

        (problem,) = reach_verdict(snapshot(symptoms, unreachable=("agg1", "bng1"))).problems

        against = [sign for cause in problem.causes for sign in cause.evidence if not sign.supports]
        assert {sign.ref for sign in against} >= {dev("acc1")}

    def test_is_stable_while_it_heals(self):
        symptoms, unreachable = backhaul_cut()
        before = reach_verdict(snapshot(symptoms, unreachable=unreachable)).problems[0]
        mended = NOON + timedelta(seconds=60)
        healing = [
            symptom(row.kind, row.ref, state="recovering", clear_since=mended)
            if row.kind in {"interface_down", "adjacency_down"}
            else row
            for row in symptoms
        ]
        up_again = (
            sample_up(port("cr2", "cr2-agg1"), "interface.oper_up", seconds=61),
            sample_up(adjacency("cr2", "cr2-agg1"), "ospf.neighbor.up", seconds=61),
        )

        after = reach_verdict(
            snapshot(healing, unreachable=unreachable, samples=up_again, seconds=65)
        ).problems

        assert [problem.root for problem in after] == [before.root]

    def test_is_stable_when_readings_of_its_end_come_before_the_alerts_recover(self):
        symptoms, unreachable = backhaul_cut()
        symptoms = [row for row in symptoms if row.ref != dev("acc1")]
        still_dark = [sample_down(dev(name), "device.up", seconds=58) for name in ("agg1", "bng1")]
        up_again = (
            sample_up(port("cr2", "cr2-agg1"), "interface.oper_up", seconds=61),
            sample_up(dev("acc1"), "device.up", seconds=60),
        )

        (problem,) = reach_verdict(
            snapshot(
                symptoms, unreachable=unreachable, samples=(*up_again, *still_dark), seconds=62
            )
        ).problems

        assert problem.root == link_ref("cr2-agg1")
        assert all(sign.supports for sign in problem.causes[0].evidence)

    def test_is_contradicted_by_what_is_read_well_while_others_are_still_dark(self):
        symptoms, unreachable = backhaul_cut()
        symptoms = [row for row in symptoms if row.ref != dev("acc1")]
        still_dark = [sample_down(dev(name), "device.up", seconds=58) for name in ("agg1", "bng1")]
        answering = sample_up(dev("acc1"), "device.up", seconds=55)

        verdict = reach_verdict(
            snapshot(
                symptoms, unreachable=unreachable, samples=(answering, *still_dark), seconds=62
            )
        )

        evidence = [s for t in verdict.problems for c in t.causes for s in c.evidence]
        assert dev("acc1") in {sign.ref for sign in evidence if not sign.supports}


class TestWhoJudges:
    def test_an_agent_behind_the_cut_that_is_heard_again_does_not_split_the_trouble(self):
        symptoms, unreachable = backhaul_cut()

        (problem,) = reach_verdict(
            snapshot(symptoms, unreachable=unreachable, alive=("agent-core", "agent-north"))
        ).problems

        assert problem.root == link_ref("cr2-agg1")

    def test_a_router_judged_by_nobody_is_judged_from_every_living_agent(self):
        graph = isp()
        unnamed = replace(graph, agents=tuple(replace(row, probes=()) for row in graph.agents))
        symptoms, unreachable = backhaul_cut("south")

        (problem,) = reach_verdict(
            snapshot(symptoms, unreachable=unreachable, graph=unnamed)
        ).problems

        assert problem.root == link_ref("cr4-agg2")


class TestRingCut:
    def test_names_the_link_with_confidence_and_calls_nobody_down(self):
        (problem,) = reach_verdict(snapshot(ring_cut())).problems

        assert problem.root == link_ref("cr1-cr2")
        assert problem.confidence > 0.95
        assert problem.impact.device_ids == ()
        assert "redundancy lost" in problem.title.english

    def test_two_cuts_that_part_the_ring_are_one_trouble_with_two_causes(self):
        symptoms = [*ring_cut("cr1-cr2"), *ring_cut("cr3-cr4")]
        unreachable = ("cr2", "cr3", "er2", "agg1", "bng1", "acc1")
        symptoms = [
            row
            for row in symptoms
            if row.ref not in {port("cr2", "cr1-cr2"), port("cr3", "cr3-cr4")}
            and row.ref not in {adjacency("cr2", "cr1-cr2"), adjacency("cr3", "cr3-cr4")}
        ]
        symptoms += [symptom("unreachable", dev(name), seconds=3) for name in unreachable]

        (problem,) = reach_verdict(snapshot(symptoms, unreachable=unreachable)).problems

        assert {cause.ref for cause in problem.causes} == {link_ref("cr1-cr2"), link_ref("cr3-cr4")}
        assert {cause.classification for cause in problem.causes} == {"primary"}


class TestDeadRouter:
    def test_a_core_router_whose_neighbours_all_lost_it_is_the_cause(self):
        symptoms = [
            *(
                symptom("interface_down", port(n, link))
                for n, link in [("cr2", "cr2-cr3"), ("cr4", "cr3-cr4"), ("er2", "er2-cr3")]
            ),
            *(symptom("unreachable", dev(name)) for name in ("cr3", "er2")),
        ]

        (problem,) = reach_verdict(snapshot(symptoms, unreachable=("cr3", "er2"))).problems

        assert problem.root == dev("cr3")
        assert "er2" not in {cause.name for cause in problem.causes}

    def test_did_not_die_of_its_second_uplink_s_loss(self):
        """A router with two uplinks: one falls, and twenty seconds later the other."""
        graph = isp((*LINKS, "cr2-acc3", "cr4-acc3"))
        symptoms = [
            symptom("interface_down", port("cr2", "cr2-acc3"), seconds=-20),
            symptom("interface_down", port("cr4", "cr4-acc3")),
            symptom("unreachable", dev("acc3"), seconds=2),
        ]

        (problem,) = reach_verdict(snapshot(symptoms, graph=graph, unreachable=("acc3",))).problems

        assert {cause.ref for cause in problem.causes} == {
            link_ref("cr2-acc3"),
            link_ref("cr4-acc3"),
        }

    def test_is_not_the_cause_of_what_a_router_that_is_cut_off_said_last(self):
        """Both uplinks are mended; what the far router said before it was cut off is old, and its neighbour answers."""
        graph = isp((*LINKS, "cr2-acc3", "cr4-acc3"))
        symptoms = [
            symptom("interface_down", port("acc3", "cr2-acc3"), seconds=-20),
            symptom("interface_down", port("cr2", "cr2-acc3"), seconds=-20),
            symptom("interface_down", port("cr4", "cr4-acc3")),
            symptom("unreachable", dev("acc3"), seconds=2),
        ]
        samples = (
            sample_down(port("acc3", "cr2-acc3"), "interface.oper_up", seconds=-2),
            sample_down(dev("acc3"), "device.up", seconds=20),
            sample_up(port("cr2", "cr2-acc3"), "interface.oper_up", seconds=24),
            sample_up(port("cr4", "cr4-acc3"), "interface.oper_up", seconds=24),
        )

        verdict = reach_verdict(
            snapshot(symptoms, graph=graph, unreachable=("acc3",), samples=samples)
        )

        causes = {cause.ref for problem in verdict.problems for cause in problem.causes}
        assert causes == {link_ref("cr2-acc3"), link_ref("cr4-acc3")}

    def test_did_not_take_down_a_port_that_fell_long_before(self):
        early = symptom("interface_down", port("cr2", "cr2-cr3"), seconds=-3600)
        late = [
            *(
                symptom("interface_down", port(n, link))
                for n, link in [("cr4", "cr3-cr4"), ("er2", "er2-cr3")]
            ),
            *(symptom("unreachable", dev(name)) for name in ("cr3", "er2")),
        ]

        verdict = reach_verdict(snapshot([early, *late], unreachable=("cr3", "er2")))

        causes = {cause.ref for problem in verdict.problems for cause in problem.causes}
        assert link_ref("cr2-cr3") in causes


class TestSeveralTroubles:
    def test_two_far_apart_are_two_and_neither_is_hidden(self):
        north, unreachable = backhaul_cut("north")
        south = [
            symptom("interface_down", port("agg2", "agg2-acc2")),
            symptom("unreachable", dev("acc2")),
        ]

        verdict = reach_verdict(snapshot([*north, *south], unreachable=(*unreachable, "acc2")))

        roots = {problem.root for problem in verdict.problems}
        assert len(verdict.problems) == 2
        assert link_ref("cr2-agg1") in roots
        assert roots & {dev("acc2"), link_ref("agg2-acc2")}

    def test_a_busy_router_is_its_own_trouble(self):
        north, unreachable = backhaul_cut("north")
        busy = symptom("soft", dev("cr4"), severity="warn")

        verdict = reach_verdict(snapshot([*north, busy], unreachable=unreachable))

        assert {problem.root for problem in verdict.problems} == {link_ref("cr2-agg1"), dev("cr4")}

    def test_a_locked_api_on_a_router_that_answers_is_its_own_trouble_and_takes_nothing_away(self):
        locked = symptom("management_plane", dev("cr2"), severity="warn")

        (problem,) = reach_verdict(snapshot([locked])).problems

        assert problem.root == dev("cr2")
        assert problem.confidence > 0.7
        assert problem.impact.device_ids == ()
        assert problem.severity == "warn"
        assert "management plane" in problem.title.english

    def test_a_lost_bgp_session_on_a_live_port_is_a_transit_trouble(self):
        graph = isp()
        peer = BgpPeer(pk("upstream-a"), pk("er1"), "upstream-a", "192.0.2.1", 64496)
        facing = Interface(pk("er1:transit-a"), pk("er1"), "sfp1", pk("transit-a"))
        graph = replace(graph, bgp_peers=(peer,), interfaces=(*graph.interfaces, facing))
        lost = symptom("bgp_down", ("bgp_peer", peer.id))
        live = sample_up(("interface", facing.id), "interface.oper_up")

        down = sample_down(("bgp_peer", peer.id), "bgp.peer.up")  # by the same poll

        (problem,) = reach_verdict(snapshot([lost], graph=graph, samples=(live, down))).problems

        assert problem.root == ("bgp_peer", peer.id)
        assert problem.impact.device_ids == ()

    def test_lost_sessions_on_a_healthy_router_are_the_service(self):
        lost = symptom("sessions_lost", ("service", pk("pppoe-bng1")))

        (problem,) = reach_verdict(snapshot([lost])).problems

        assert problem.root == ("service", pk("pppoe-bng1"))
        assert problem.impact.device_ids == ()
        assert problem.impact.service_ids == (pk("pppoe-bng1"),)

    def test_a_silent_agent_alone_is_a_blind_region_and_nobody_is_down(self):
        missing = symptom("agent_missing", ("agent", pk("agent-north")), severity="warn")

        (problem,) = reach_verdict(snapshot([missing])).problems

        assert problem.root == ("agent", pk("agent-north"))
        assert problem.impact.device_ids == ()
        assert "not monitored" in problem.title.english

    def test_an_empty_network_has_no_trouble(self):
        assert reach_verdict(snapshot([])).problems == ()


class TestFlapping:
    def test_what_comes_and_goes_is_not_contradicted_by_its_good_moments(self):
        seen = [replace(row, is_flapping=True) for row in ring_cut()]
        lit = tuple(
            sample_up(port(end, "cr1-cr2"), "interface.oper_up", seconds=15)
            for end in ("cr1", "cr2")
        )

        (problem,) = reach_verdict(snapshot(seen, samples=lit)).problems

        assert problem.root == link_ref("cr1-cr2")
        assert problem.title.english == "cr1-cr2 is flapping"
        assert all(sign.supports for sign in problem.causes[0].evidence)


class TestChanges:
    def dead_router(self, *changes: ConfigChange):
        seen = [
            symptom("interface_down", port("agg2", "agg2-acc2")),
            symptom("unreachable", dev("acc2"), seconds=3),
        ]
        return reach_verdict(snapshot(seen, unreachable=("acc2",), changes=changes)).problems[0]

    def test_work_shortly_before_speaks_for_its_router(self):
        before = self.dead_router()
        change = ConfigChange(pk("acc2"), NOON - timedelta(seconds=42), "firewall")

        after = self.dead_router(change)

        assert after.root == dev("acc2")
        assert after.confidence > (before.confidence if before.root == dev("acc2") else 0)
        texts = [
            sign.message.english
            for sign in after.causes[0].evidence
            if sign.code == "config_changed"
        ]
        assert texts == ["Configuration of acc2 (firewall) changed 42 s before"]

    def test_work_long_before_afterwards_or_elsewhere_says_nothing(self):
        base = self.dead_router()
        for change in (
            ConfigChange(pk("acc2"), NOON - timedelta(minutes=16), "firewall"),
            ConfigChange(pk("acc2"), NOON + timedelta(seconds=8), "firewall"),
            ConfigChange(pk("cr4"), NOON - timedelta(seconds=42), "firewall"),
        ):
            assert self.dead_router(change).as_document() == base.as_document()


class TestEyes:
    def test_an_agent_not_heard_since_the_routers_went_dark_is_no_eye(self):
        symptoms, _ = backhaul_cut()
        at = NOON + timedelta(seconds=25)
        pulses = [
            AgentHeartbeat(pk("agent-core"), at - timedelta(seconds=4), True),
            AgentHeartbeat(pk("agent-north"), NOON - timedelta(seconds=2), True),
        ]

        assert live_agents(pulses, symptoms, at) == {pk("agent-core")}
        assert live_agents(pulses, [], at) == {pk("agent-core"), pk("agent-north")}


FAILABLE = [
    *(("link", name) for name in LINKS),
    *(("device", name) for name in ("cr3", "cr4", "agg1", "bng2")),
]


@st.composite
def moments(draw) -> Snapshot:
    """Whatever may be seen together: real or not."""
    graph = isp()
    refs = [
        *(("interface_down", ("interface", row.id)) for row in graph.interfaces),
        *(("adjacency_down", ("ospf_neighbor", row.id)) for row in graph.ospf_neighbors),
        *(("unreachable", ("device", row.id)) for row in graph.devices),
        *(("agent_missing", ("agent", row.id)) for row in graph.agents),
        *(("sessions_lost", ("service", row.id)) for row in graph.services),
        *(("soft", ("device", row.id)) for row in graph.devices),
        *(("power_lost", ("device", row.id)) for row in graph.devices),
        *(("management_plane", ("device", row.id)) for row in graph.devices),
    ]
    chosen = draw(st.lists(st.sampled_from(refs), unique=True, max_size=14))
    symptoms = [
        symptom(
            kind,
            ref,
            seconds=draw(st.integers(-90, 15)),
            state=draw(st.sampled_from(["firing", "pending", "recovering"])),
            is_flapping=draw(st.booleans()),
        )
        for kind, ref in chosen
    ]
    worked_on = draw(st.lists(st.sampled_from(graph.devices), max_size=3))
    changes = [
        ConfigChange(row.id, NOON - timedelta(seconds=draw(st.integers(-30, 1200))), "firewall")
        for row in worked_on
    ]
    silent = {ref for kind, ref in chosen if kind == "unreachable"}
    unreachable = tuple(row.name for row in graph.devices if ("device", row.id) in silent)
    return snapshot(symptoms, graph=graph, unreachable=unreachable, changes=changes)


class TestAnyMoment:
    @settings(max_examples=150, deadline=None)
    @given(moments(), st.integers(0, 2**32))
    def test_the_verdict_does_not_depend_on_the_order_of_arrival(self, moment: Snapshot, seed: int):
        symptoms, samples = list(moment.symptoms), list(moment.samples)
        changes = list(moment.changes) * 2
        random.Random(seed).shuffle(symptoms)
        random.Random(seed + 1).shuffle(samples)
        random.Random(seed + 2).shuffle(changes)
        other = Snapshot.make(
            at=moment.at,
            graph=isp(),
            alive_agents=moment.alive_agents,
            symptoms=symptoms,
            samples=samples,
            changes=changes,
        )

        assert reach_verdict(other).digest == reach_verdict(moment).digest

    @settings(max_examples=150, deadline=None)
    @given(moments())
    def test_a_router_that_answers_is_never_held_back(self, moment: Snapshot):
        ref_of = {row.alert_id: row.ref for row in moment.symptoms}
        kind_of = {row.alert_id: row.kind for row in moment.symptoms}

        for problem in reach_verdict(moment).problems:
            for row in problem.suppressed:
                kind, entity_id = ref_of[row.alert_id]
                if kind == "device" and kind_of[row.alert_id] != "unreachable":
                    assert not moment.answers(entity_id)

    @settings(max_examples=150, deadline=None)
    @given(moments())
    def test_every_symptom_belongs_to_exactly_one_trouble_and_the_root_is_never_hidden(
        self, moment: Snapshot
    ):
        verdict = reach_verdict(moment)

        alerts = [row.alert_id for problem in verdict.problems for row in problem.symptoms]
        assert sorted(alerts) == sorted(row.alert_id for row in moment.symptoms)
        for problem in verdict.problems:
            roots = {cause.ref for cause in problem.causes}
            ref_of = {row.alert_id: row.ref for row in problem.symptoms}
            assert not {ref_of[row.alert_id] for row in problem.suppressed} & roots

    @settings(max_examples=100, deadline=None)
    @given(moments())
    def test_a_replay_of_the_stored_snapshot_is_the_same_verdict(self, moment: Snapshot):
        stored = json.loads(json.dumps(moment.as_document()))

        again = Snapshot.from_document(stored, moment.graph)

        assert again.as_document() == moment.as_document()
        assert reach_verdict(again).digest == reach_verdict(moment).digest
