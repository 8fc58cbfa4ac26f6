"""Verdicts on common outages."""

import json
import random
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.incidents.rca.explain import MAX_FINALISTS
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
    def test_names_the_link_and_suppresses_the_routers_behind_it(self):
        symptoms, unreachable = backhaul_cut()

        (problem,) = reach_verdict(snapshot(symptoms, unreachable=unreachable)).problems

        assert problem.root == link_ref("cr2-agg1")
        assert 0.5 < problem.confidence < 0.9  # a dead agg1 looks the same from here
        assert {ref for ref, *_ in problem.causes[0].alternatives} >= {dev("agg1")}
        assert problem.impact.device_ids == tuple(sorted(map(pk, unreachable)))
        assert problem.impact.service_ids == (pk("pppoe-bng1"),)
        suppressed_ids = {row.alert_id for row in problem.suppressed}
        shown = [row for row in problem.symptoms if row.alert_id not in suppressed_ids]
        assert [row.ref for row in shown] == [port("cr2", "cr2-agg1")]
        assert all(row.by == link_ref("cr2-agg1") and row.reason for row in problem.suppressed)

    def test_a_router_behind_it_that_answers_contradicts_it(self):
        symptoms = [row for row in backhaul_cut()[0] if row.ref != dev("acc1")]

        (problem,) = reach_verdict(snapshot(symptoms, unreachable=("agg1", "bng1"))).problems

        against = [item for cause in problem.causes for item in cause.evidence if not item.supports]
        assert {item.ref for item in against} >= {dev("acc1")}

    def test_is_stable_during_recovery(self):
        symptoms, unreachable = backhaul_cut()
        before = reach_verdict(snapshot(symptoms, unreachable=unreachable)).problems[0]
        recovered_at = NOON + timedelta(seconds=60)
        healing = [
            symptom(row.kind, row.ref, state="recovering", clear_since=recovered_at)
            if row.kind in {"interface_down", "adjacency_down"}
            else row
            for row in symptoms
        ]
        good_samples = (
            sample_up(port("cr2", "cr2-agg1"), "interface.oper_up", seconds=61),
            sample_up(adjacency("cr2", "cr2-agg1"), "ospf.neighbor.up", seconds=61),
        )

        after = reach_verdict(
            snapshot(healing, unreachable=unreachable, samples=good_samples, seconds=65)
        ).problems

        assert [problem.root for problem in after] == [before.root]

    def test_is_stable_when_good_samples_arrive_before_the_alerts_recover(self):
        symptoms, unreachable = backhaul_cut()
        symptoms = [row for row in symptoms if row.ref != dev("acc1")]
        still_unreachable = [
            sample_down(dev(name), "device.up", seconds=58) for name in ("agg1", "bng1")
        ]
        good_samples = (
            sample_up(port("cr2", "cr2-agg1"), "interface.oper_up", seconds=61),
            sample_up(dev("acc1"), "device.up", seconds=60),
        )

        (problem,) = reach_verdict(
            snapshot(
                symptoms,
                unreachable=unreachable,
                samples=(*good_samples, *still_unreachable),
                seconds=62,
            )
        ).problems

        assert problem.root == link_ref("cr2-agg1")
        assert all(item.supports for item in problem.causes[0].evidence)

    def test_is_contradicted_by_a_good_sample_while_others_are_still_unreachable(self):
        symptoms, unreachable = backhaul_cut()
        symptoms = [row for row in symptoms if row.ref != dev("acc1")]
        still_unreachable = [
            sample_down(dev(name), "device.up", seconds=58) for name in ("agg1", "bng1")
        ]
        answering = sample_up(dev("acc1"), "device.up", seconds=55)

        verdict = reach_verdict(
            snapshot(
                symptoms,
                unreachable=unreachable,
                samples=(answering, *still_unreachable),
                seconds=62,
            )
        )

        evidence = [s for t in verdict.problems for c in t.causes for s in c.evidence]
        assert dev("acc1") in {item.ref for item in evidence if not item.supports}


class TestObservers:
    def test_an_agent_behind_the_cut_that_reconnects_does_not_split_the_problem(self):
        symptoms, unreachable = backhaul_cut()

        (problem,) = reach_verdict(
            snapshot(symptoms, unreachable=unreachable, alive=("agent-core", "agent-north"))
        ).problems

        assert problem.root == link_ref("cr2-agg1")

    def test_a_router_without_assigned_agent_is_observed_by_every_live_agent(self):
        graph = isp()
        unnamed = replace(graph, agents=tuple(replace(row, probes=()) for row in graph.agents))
        symptoms, unreachable = backhaul_cut("south")

        (problem,) = reach_verdict(
            snapshot(symptoms, unreachable=unreachable, graph=unnamed)
        ).problems

        assert problem.root == link_ref("cr4-agg2")


class TestRingCut:
    def test_names_the_link_with_high_confidence_and_no_router_as_down(self):
        (problem,) = reach_verdict(snapshot(ring_cut())).problems

        assert problem.root == link_ref("cr1-cr2")
        assert problem.confidence > 0.95
        assert problem.impact.device_ids == ()
        assert "redundancy lost" in problem.title.english

    def test_two_cuts_that_split_the_ring_are_one_problem_with_two_causes(self):
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

    def test_is_contradicted_by_an_adjacency_that_stays_full_beyond_its_dead_timer(self):
        one_port = [symptom("interface_down", port("cr1", "cr1-cr2"))]
        ends = [adjacency(end, "cr1-cr2") for end in ("cr1", "cr2")]
        (plain,) = reach_verdict(snapshot(one_port, seconds=70)).problems

        for seconds, is_contradicted in ((30, False), (60, True)):
            full = tuple(sample_up(ref, "ospf.neighbor.up", seconds=seconds) for ref in ends)
            (problem,) = reach_verdict(snapshot(one_port, samples=full, seconds=70)).problems
            against = [item for item in problem.causes[0].evidence if not item.supports]

            assert {item.ref for item in against} == (set(ends) if is_contradicted else set())
            assert (problem.confidence < 0.1) == is_contradicted
            assert (problem.confidence == plain.confidence) == (not is_contradicted)


class TestDeadRouter:
    def test_of_many_suspects_the_one_that_all_symptoms_point_at_is_weighed(self):
        """An aggregation router with more links than suspects are weighed; its customers have a second uplink."""
        customers = [f"n{number:02}" for number in range(MAX_FINALISTS + 4)]
        uplinks = [f"{router}-{name}" for name in customers for router in ("hub1", "hub2")]
        graph = isp(("cr1-hub1", "cr1-hub2", *uplinks))
        symptoms = [symptom("interface_down", port(name, f"hub1-{name}")) for name in customers]
        symptoms.append(symptom("unreachable", dev("hub1")))

        (problem,) = reach_verdict(snapshot(symptoms, graph=graph, unreachable=("hub1",))).problems

        assert problem.root == dev("hub1")
        assert len(problem.symptoms) == len(symptoms)
        assert problem.confidence > 0.95

    def test_a_core_router_that_all_neighbors_lost_is_the_cause(self):
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

    def test_is_not_the_cause_when_both_uplinks_failed(self):
        """A router with two uplinks: one fails, and twenty seconds later the other."""
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

    def test_old_samples_of_a_cut_off_router_do_not_make_its_neighbor_the_cause(self):
        """Both uplinks have recovered; the last samples of the far router are old, and its neighbor answers."""
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

    def test_does_not_explain_a_port_that_went_down_long_before(self):
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


class TestSeveralProblems:
    def test_two_outages_far_apart_are_two_problems_with_root_cause_alerts(self):
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

    def test_a_busy_router_is_a_problem_of_its_own(self):
        north, unreachable = backhaul_cut("north")
        busy = symptom("soft", dev("cr4"), severity="warn")

        verdict = reach_verdict(snapshot([*north, busy], unreachable=unreachable))

        assert {problem.root for problem in verdict.problems} == {link_ref("cr2-agg1"), dev("cr4")}

    def test_a_failed_api_on_a_reachable_router_is_a_problem_without_impact(self):
        api_down = symptom("management_plane", dev("cr2"), severity="warn")

        (problem,) = reach_verdict(snapshot([api_down])).problems

        assert problem.root == dev("cr2")
        assert problem.confidence > 0.7
        assert problem.impact.device_ids == ()
        assert problem.severity == "warn"
        assert "management plane" in problem.title.english

    def test_a_lost_bgp_session_on_a_live_port_is_a_problem_of_the_transit(self):
        graph = isp()
        peer = BgpPeer(pk("upstream-a"), pk("er1"), "upstream-a", "192.0.2.1", 64496)
        interface = Interface(pk("er1:transit-a"), pk("er1"), "sfp1", pk("transit-a"))
        graph = replace(graph, bgp_peers=(peer,), interfaces=(*graph.interfaces, interface))
        lost = symptom("bgp_down", ("bgp_peer", peer.id))
        live = sample_up(("interface", interface.id), "interface.oper_up")

        down = sample_down(("bgp_peer", peer.id), "bgp.peer.up")  # by the same poll

        (problem,) = reach_verdict(snapshot([lost], graph=graph, samples=(live, down))).problems

        assert problem.root == ("bgp_peer", peer.id)
        assert problem.impact.device_ids == ()

    def test_lost_sessions_on_a_healthy_router_are_a_problem_of_the_service(self):
        lost = symptom("sessions_lost", ("service", pk("pppoe-bng1")))

        (problem,) = reach_verdict(snapshot([lost])).problems

        assert problem.root == ("service", pk("pppoe-bng1"))
        assert problem.impact.device_ids == ()
        assert problem.impact.service_ids == (pk("pppoe-bng1"),)

    def test_an_offline_agent_alone_is_an_unmonitored_region_with_no_router_down(self):
        missing = symptom("agent_missing", ("agent", pk("agent-north")), severity="warn")

        (problem,) = reach_verdict(snapshot([missing])).problems

        assert problem.root == ("agent", pk("agent-north"))
        assert problem.impact.device_ids == ()
        assert "not monitored" in problem.title.english

    def test_no_symptoms_give_no_problems(self):
        assert reach_verdict(snapshot([])).problems == ()


class TestFlapping:
    def test_good_samples_of_a_flapping_link_do_not_contradict_it(self):
        symptoms = [replace(row, is_flapping=True) for row in ring_cut()]
        good_samples = tuple(
            sample_up(port(end, "cr1-cr2"), "interface.oper_up", seconds=15)
            for end in ("cr1", "cr2")
        )

        (problem,) = reach_verdict(snapshot(symptoms, samples=good_samples)).problems

        assert problem.root == link_ref("cr1-cr2")
        assert problem.title.english == "cr1-cr2 is flapping"
        assert all(item.supports for item in problem.causes[0].evidence)


class TestChanges:
    def dead_router(self, *changes: ConfigChange):
        symptoms = [
            symptom("interface_down", port("agg2", "agg2-acc2")),
            symptom("unreachable", dev("acc2"), seconds=3),
        ]
        return reach_verdict(snapshot(symptoms, unreachable=("acc2",), changes=changes)).problems[0]

    def test_a_change_shortly_before_supports_its_router(self):
        before = self.dead_router()
        change = ConfigChange(pk("acc2"), NOON - timedelta(seconds=42), "firewall")

        after = self.dead_router(change)

        assert after.root == dev("acc2")
        assert after.confidence > (before.confidence if before.root == dev("acc2") else 0)
        texts = [
            item.message.english
            for item in after.causes[0].evidence
            if item.code == "config_changed"
        ]
        assert texts == ["Configuration of acc2 (firewall) changed 42 s before"]

    def test_a_change_long_before_afterwards_or_elsewhere_has_no_effect(self):
        base = self.dead_router()
        for change in (
            ConfigChange(pk("acc2"), NOON - timedelta(minutes=16), "firewall"),
            ConfigChange(pk("acc2"), NOON + timedelta(seconds=8), "firewall"),
            ConfigChange(pk("cr4"), NOON - timedelta(seconds=42), "firewall"),
        ):
            assert self.dead_router(change).as_document() == base.as_document()


class TestLiveAgents:
    def test_an_agent_without_heartbeat_since_routers_became_unreachable_does_not_count(self):
        symptoms, _ = backhaul_cut()
        at = NOON + timedelta(seconds=25)
        heartbeats = [
            AgentHeartbeat(pk("agent-core"), at - timedelta(seconds=4), True),
            AgentHeartbeat(pk("agent-north"), NOON - timedelta(seconds=2), True),
        ]

        assert live_agents(heartbeats, symptoms, at) == {pk("agent-core")}
        assert live_agents(heartbeats, [], at) == {pk("agent-core"), pk("agent-north")}


FAILABLE = [
    *(("link", name) for name in LINKS),
    *(("device", name) for name in ("cr3", "cr4", "agg1", "bng2")),
]


@st.composite
def snapshots(draw) -> Snapshot:
    """Any combination of symptoms, realistic or not."""
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
    changed_devices = draw(st.lists(st.sampled_from(graph.devices), max_size=3))
    changes = [
        ConfigChange(row.id, NOON - timedelta(seconds=draw(st.integers(-30, 1200))), "firewall")
        for row in changed_devices
    ]
    unreachable_refs = {ref for kind, ref in chosen if kind == "unreachable"}
    unreachable = tuple(row.name for row in graph.devices if ("device", row.id) in unreachable_refs)
    return snapshot(symptoms, graph=graph, unreachable=unreachable, changes=changes)


class TestAnySnapshot:
    @settings(max_examples=150, deadline=None)
    @given(snapshots(), st.integers(0, 2**32))
    def test_the_verdict_does_not_depend_on_the_order_of_arrival(self, case: Snapshot, seed: int):
        symptoms, samples = list(case.symptoms), list(case.samples)
        changes = list(case.changes) * 2
        random.Random(seed).shuffle(symptoms)
        random.Random(seed + 1).shuffle(samples)
        random.Random(seed + 2).shuffle(changes)
        other = Snapshot.make(
            at=case.at,
            graph=isp(),
            alive_agents=case.alive_agents,
            symptoms=symptoms,
            samples=samples,
            changes=changes,
        )

        assert reach_verdict(other).digest == reach_verdict(case).digest

    @settings(max_examples=150, deadline=None)
    @given(snapshots())
    def test_alerts_of_a_router_that_answers_are_never_suppressed(self, case: Snapshot):
        ref_of = {row.alert_id: row.ref for row in case.symptoms}
        kind_of = {row.alert_id: row.kind for row in case.symptoms}

        for problem in reach_verdict(case).problems:
            for row in problem.suppressed:
                kind, entity_id = ref_of[row.alert_id]
                if kind == "device" and kind_of[row.alert_id] != "unreachable":
                    assert not case.answers(entity_id)

    @settings(max_examples=150, deadline=None)
    @given(snapshots())
    def test_every_symptom_belongs_to_exactly_one_problem_and_root_cause_alerts_are_never_suppressed(
        self, case: Snapshot
    ):
        verdict = reach_verdict(case)

        alerts = [row.alert_id for problem in verdict.problems for row in problem.symptoms]
        assert sorted(alerts) == sorted(row.alert_id for row in case.symptoms)
        for problem in verdict.problems:
            roots = {cause.ref for cause in problem.causes}
            ref_of = {row.alert_id: row.ref for row in problem.symptoms}
            assert not {ref_of[row.alert_id] for row in problem.suppressed} & roots

    @settings(max_examples=100, deadline=None)
    @given(snapshots())
    def test_a_replay_of_the_stored_snapshot_is_the_same_verdict(self, case: Snapshot):
        stored = json.loads(json.dumps(case.as_document()))

        again = Snapshot.from_document(stored, case.graph)

        assert again.as_document() == case.as_document()
        assert reach_verdict(again).digest == reach_verdict(case).digest
