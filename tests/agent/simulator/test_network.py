"""The model: what works follows from what is broken, and healing leaves no trace but the history."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.blueprint import LinkKind
from agent.simulator.drawing import draw_blueprint
from agent.simulator.failures import (
    LinkCut,
    MalformedFailure,
    UnknownFailure,
    UnknownTarget,
    failure_from,
    plan_failure,
)
from agent.simulator.history import Record
from agent.simulator.network import Network

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ISP = draw_blueprint(1)
LINKS = [link.id for link in ISP.links]
DEVICES = [router.name for router in ISP.routers]


def network_with_cuts(links, *, at=NOON) -> Network:
    network = Network(ISP, began_at=NOON)
    for number, link in enumerate(sorted(links)):
        network.break_(LinkCut(f"f{number}", at, link))
    return network


def joined(cuts, place, device) -> bool:
    """Brute force: spread over the pairs of the drawing until nothing new is found."""
    pairs = [{link.a.device, link.z.device} for link in ISP.links if link.z and link.id not in cuts]
    found = {place}
    for _ in DEVICES:
        for pair in pairs:
            if pair & found:
                found |= pair
    return device in found


class TestBlueprint:
    def test_is_the_same_for_a_seed_and_another_for_another(self):
        assert draw_blueprint(7) == draw_blueprint(7)
        assert draw_blueprint(7) != draw_blueprint(8)

    @given(st.integers(0, 2**63))
    def test_keeps_its_structure_whatever_the_seed(self, seed):
        isp = draw_blueprint(seed)
        assert [router.name for router in isp.routers] == DEVICES
        assert [link.id for link in isp.links] == LINKS
        sites = {site.key: site for site in isp.sites}
        latitudes = [sites[key].latitude for key in ("north", "hub", "south")]
        assert latitudes == sorted(latitudes, reverse=True)
        assert sites["east"].longitude > sites["hub"].longitude
        assert len({router.serial_number for router in isp.routers}) == len(isp.routers)
        assert all(100 < service.population < 1000 for service in isp.services)

    def test_every_port_and_address_is_used_once(self):
        ends = [port for link in ISP.links for port in link.ends()]
        assert len({(port.device, port.interface) for port in ends}) == len(ends)
        assert len({port.address for port in ends}) == len(ends)

    def test_every_device_is_polled_by_one_agent(self):
        polled = [device for agent in ISP.agents for device in agent.polls]
        assert sorted(polled) == sorted(DEVICES)

    def test_no_path_is_longer_than_five_milliseconds_there_and_back(self):
        network = Network(ISP, NOON)
        worst = max(network.latency(a, b) for a in DEVICES for b in DEVICES)
        assert 2 * worst < timedelta(milliseconds=5)


class TestReachability:
    @given(st.sets(st.sampled_from(LINKS)), st.sampled_from(DEVICES), st.sampled_from(DEVICES))
    def test_is_what_brute_force_finds(self, cuts, place, device):
        network = network_with_cuts(cuts)
        assert network.reaches(place, device) is joined(cuts, place, device)
        assert network.reaches(device, place) is network.reaches(place, device)

    @given(st.sets(st.sampled_from(LINKS)))
    def test_sessions_follow_from_it(self, cuts):
        network = network_with_cuts(cuts)
        for peer in ISP.bgp_peers:
            expected = joined(cuts, "er1", "er2") if peer.kind == "ibgp" else peer.link not in cuts
            assert network.is_established(peer) is expected
            assert network.record_of(peer).up is expected
        for link in ISP.links:
            assert network.record_of(link).up is (link.id not in cuts)

    @given(st.sets(st.sampled_from(LINKS), min_size=1))
    def test_healing_restores_everything(self, cuts):
        whole = Network(ISP, NOON)
        network = network_with_cuts(cuts)
        for failure in list(network.failures):
            network.heal(failure, at=NOON + timedelta(minutes=5))
        assert network.failures == {}
        for place in DEVICES:
            assert network.reached_from(place) == whole.reached_from(place)
        assert all(record.up for record in network.records.values())
        for link in ISP.links:
            assert network.record_of(link).downs == (link.id in cuts)

    def test_one_cut_in_the_ring_only_makes_the_way_longer(self):
        whole, cut = Network(ISP, NOON), network_with_cuts({"cr1-cr2"})
        assert cut.reaches("cr1", "cr2")
        assert cut.latency("cr1", "cr2") > whole.latency("cr1", "cr2")

    def test_the_northern_backhaul_separates_the_north_from_the_hub_only(self):
        network = network_with_cuts({"cr2-agg1"})
        assert network.reached_from("agg1").latencies.keys() == {"agg1", "bng1", "acc1"}
        assert not network.reaches("cr1", "bng1")
        assert network.reaches("cr1", "bng2")

    def test_the_dual_homed_router_needs_one_of_its_uplinks(self):
        service = ISP.service_at("acc3")
        for one in ("cr2-acc3", "cr4-acc3"):
            assert network_with_cuts({one}).reaches("cr1", "acc3")
        network = network_with_cuts({"cr2-acc3", "cr4-acc3"})
        assert not network.reaches("cr1", "acc3")
        assert network.sessions(service, at=NOON) == service.population

    def test_the_south_has_no_way_round_through_the_east(self):
        network = network_with_cuts({"cr4-agg2"})
        assert network.reached_from("agg2").latencies.keys() == {"agg2", "bng2", "acc2"}

    def test_two_cuts_of_one_link_need_two_repairs(self):
        network = Network(ISP, NOON)
        network.break_(LinkCut("f1", NOON, "cr2-agg1"))
        network.break_(LinkCut("f2", NOON, "cr2-agg1"))
        network.heal("f1", at=NOON)
        assert not network.reaches("cr1", "agg1")
        network.heal("f2", at=NOON)
        assert network.reaches("cr1", "agg1")
        assert network.record_of(ISP.link("cr2-agg1")).downs == 1

    def test_healing_what_is_not_broken_says_so(self):
        assert Network(ISP, NOON).heal("f9", at=NOON) is False


class TestHistory:
    def test_counts_time_up_across_an_outage(self):
        record = Record(up=True, since=NOON)
        down = record.turned(up=False, at=NOON + timedelta(seconds=60))
        assert down.seconds_up(NOON + timedelta(hours=9)) == 60
        again = down.turned(up=True, at=NOON + timedelta(seconds=100))
        assert again.seconds_up(NOON + timedelta(seconds=130)) == 90
        assert (again.downs, again.last_down) == (1, NOON + timedelta(seconds=60))
        assert again.last_up == NOON + timedelta(seconds=100)
        assert Record.restored(again.describe()) == again
        assert Record.restored(record.describe()) == record

    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 3600)), max_size=8))
    def test_counters_never_run_backwards(self, turns):
        record, now = Record(up=True, since=NOON), NOON
        seen = 0.0
        for up, seconds in turns:
            now += timedelta(seconds=seconds)
            record = record.turned(up=up, at=now)
            assert record.seconds_up(now) >= seen
            seen = record.seconds_up(now)

    def test_subscribers_return_one_by_one(self):
        network = Network(ISP, NOON)
        service = ISP.service_at("bng1")
        assert network.sessions(service, at=NOON) == service.population
        network.break_(LinkCut("f1", NOON, "agg1-acc1"))
        assert network.sessions(service, at=NOON) == 0
        network.heal("f1", at=NOON + timedelta(minutes=1))
        counts = [
            network.sessions(service, at=NOON + timedelta(seconds=60 + s)) for s in (0, 5, 10, 30)
        ]
        assert counts == sorted(counts)
        assert counts[0] == 0
        assert counts[-1] == service.population


class TestFailures:
    @given(st.sampled_from(LINKS))
    def test_are_written_down_and_read_back(self, link):
        failure = plan_failure("f1", NOON, {"kind": "link_cut", "link": link}, ISP)
        assert failure_from(failure.describe(), ISP) == failure

    @pytest.mark.parametrize(
        ("wish", "error"),
        [
            ({}, MalformedFailure),
            ({"kind": 1}, MalformedFailure),
            ({"kind": "link_cut"}, MalformedFailure),
            ({"kind": "link_cut", "link": ["cr1-cr2"]}, MalformedFailure),
            ({"kind": "link_cut", "link": "cr1-cr2", "for": "ever"}, MalformedFailure),
            ({"kind": "link_cut", "link": "cr1-moon"}, UnknownTarget),
            ({"kind": "flood"}, UnknownFailure),
        ],
    )
    def test_nonsense_is_refused(self, wish, error):
        with pytest.raises(error):
            plan_failure("f1", NOON, wish, ISP)

    def test_upstreams_have_no_far_end_of_ours(self):
        upstreams = [link for link in ISP.links if link.kind is LinkKind.UPSTREAM]
        assert len(upstreams) == 2
        assert all(link.z is None for link in upstreams)
