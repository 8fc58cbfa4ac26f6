"""The model: the state is derived from the failures, and healing leaves only history."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.blueprint import LinkKind
from agent.simulator.failures import (
    LinkCut,
    MalformedFailure,
    UnknownFailure,
    UnknownTarget,
    create_failure,
    failure_from,
)
from agent.simulator.generator import generate_blueprint
from agent.simulator.history import StateRecord
from agent.simulator.network import Network

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ISP = generate_blueprint(1)
LINKS = [link.id for link in ISP.links]
DEVICES = [router.name for router in ISP.routers]


def network_with_cuts(links, *, at=NOON) -> Network:
    network = Network(ISP, began_at=NOON)
    for number, link in enumerate(sorted(links)):
        network.inject(LinkCut(f"f{number}", at, link))
    return network


def is_connected(cuts, origin, device) -> bool:
    """Brute force: spread over the pairs of the drawing until nothing new is reached."""
    pairs = [{link.a.device, link.z.device} for link in ISP.links if link.z and link.id not in cuts]
    reached = {origin}
    for _ in DEVICES:
        for pair in pairs:
            if pair & reached:
                reached |= pair
    return device in reached


class TestBlueprint:
    def test_is_determined_by_the_seed(self):
        assert generate_blueprint(7) == generate_blueprint(7)
        assert generate_blueprint(7) != generate_blueprint(8)

    @given(st.integers(0, 2**63))
    def test_has_the_same_structure_for_every_seed(self, seed):
        isp = generate_blueprint(seed)
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
    def test_equals_brute_force(self, cuts, origin, device):
        network = network_with_cuts(cuts)
        assert network.reaches(origin, device) is is_connected(cuts, origin, device)
        assert network.reaches(device, origin) is network.reaches(origin, device)

    @given(st.sets(st.sampled_from(LINKS)))
    def test_sessions_follow_from_reachability(self, cuts):
        network = network_with_cuts(cuts)
        for peer in ISP.bgp_peers:
            expected = (
                is_connected(cuts, "er1", "er2") if peer.kind == "ibgp" else peer.link not in cuts
            )
            assert network.is_established(peer) is expected
            assert network.record_of(peer).up is expected
        for link in ISP.links:
            assert network.record_of(link).up is (link.id not in cuts)

    @given(st.sets(st.sampled_from(LINKS), min_size=1))
    def test_healing_restores_everything(self, cuts):
        healthy = Network(ISP, NOON)
        network = network_with_cuts(cuts)
        for failure in list(network.failures):
            network.heal(failure, at=NOON + timedelta(minutes=5))
        assert network.failures == {}
        for origin in DEVICES:
            assert network.routes_from(origin) == healthy.routes_from(origin)
        assert all(record.up for record in network.records.values())
        for link in ISP.links:
            assert network.record_of(link).downs == (link.id in cuts)

    def test_one_cut_in_the_ring_only_adds_latency(self):
        healthy, cut = Network(ISP, NOON), network_with_cuts({"cr1-cr2"})
        assert cut.reaches("cr1", "cr2")
        assert cut.latency("cr1", "cr2") > healthy.latency("cr1", "cr2")

    def test_the_northern_backhaul_separates_the_north_from_the_hub_only(self):
        network = network_with_cuts({"cr2-agg1"})
        assert network.routes_from("agg1").latencies.keys() == {"agg1", "bng1", "acc1"}
        assert not network.reaches("cr1", "bng1")
        assert network.reaches("cr1", "bng2")

    def test_the_dual_homed_router_needs_one_of_its_uplinks(self):
        service = ISP.service_at("acc3")
        for one in ("cr2-acc3", "cr4-acc3"):
            assert network_with_cuts({one}).reaches("cr1", "acc3")
        network = network_with_cuts({"cr2-acc3", "cr4-acc3"})
        assert not network.reaches("cr1", "acc3")
        assert network.sessions(service, at=NOON) == service.population

    def test_the_south_has_no_path_through_the_east(self):
        network = network_with_cuts({"cr4-agg2"})
        assert network.routes_from("agg2").latencies.keys() == {"agg2", "bng2", "acc2"}

    def test_two_cuts_of_one_link_need_two_repairs(self):
        network = Network(ISP, NOON)
        network.inject(LinkCut("f1", NOON, "cr2-agg1"))
        network.inject(LinkCut("f2", NOON, "cr2-agg1"))
        network.heal("f1", at=NOON)
        assert not network.reaches("cr1", "agg1")
        network.heal("f2", at=NOON)
        assert network.reaches("cr1", "agg1")
        assert network.record_of(ISP.link("cr2-agg1")).downs == 1

    def test_healing_an_unknown_failure_returns_false(self):
        assert Network(ISP, NOON).heal("f9", at=NOON) is False


class TestHistory:
    def test_counts_time_up_across_an_outage(self):
        record = StateRecord(up=True, since=NOON)
        down = record.with_state(up=False, at=NOON + timedelta(seconds=60))
        assert down.seconds_up(NOON + timedelta(hours=9)) == 60
        up_again = down.with_state(up=True, at=NOON + timedelta(seconds=100))
        assert up_again.seconds_up(NOON + timedelta(seconds=130)) == 90
        assert (up_again.downs, up_again.last_down) == (1, NOON + timedelta(seconds=60))
        assert up_again.last_up == NOON + timedelta(seconds=100)
        assert StateRecord.from_document(up_again.describe()) == up_again
        assert StateRecord.from_document(record.describe()) == record

    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 3600)), max_size=8))
    def test_counters_never_decrease(self, changes):
        record, now = StateRecord(up=True, since=NOON), NOON
        last = 0.0
        for up, seconds in changes:
            now += timedelta(seconds=seconds)
            record = record.with_state(up=up, at=now)
            assert record.seconds_up(now) >= last
            last = record.seconds_up(now)

    def test_subscribers_return_one_by_one(self):
        network = Network(ISP, NOON)
        service = ISP.service_at("bng1")
        assert network.sessions(service, at=NOON) == service.population
        network.inject(LinkCut("f1", NOON, "agg1-acc1"))
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
    def test_are_saved_and_restored(self, link):
        failure = create_failure("f1", NOON, {"kind": "link_cut", "link": link}, ISP)
        assert failure_from(failure.describe(), ISP) == failure

    @pytest.mark.parametrize(
        ("spec", "error"),
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
    def test_invalid_specs_are_refused(self, spec, error):
        with pytest.raises(error):
            create_failure("f1", NOON, spec, ISP)

    def test_upstreams_have_no_far_end(self):
        upstreams = [link for link in ISP.links if link.kind is LinkKind.UPSTREAM]
        assert len(upstreams) == 2
        assert all(link.z is None for link in upstreams)
