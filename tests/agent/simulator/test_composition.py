"""Any combination of failures in any order: effects combine, and healing all of them leaves only history."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.simulator.blueprint import LinkKind
from agent.simulator.effects import Effects, combine
from agent.simulator.failures import Failure, create_failure, failure_from
from agent.simulator.generator import generate_blueprint
from agent.simulator.history import StateRecord
from agent.simulator.menus import menus_of
from agent.simulator.menus.view import View
from agent.simulator.network import Network
from agent.simulator.state import from_document, to_document

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)  # all subscribers have reconnected by then
ISP = generate_blueprint(1)
LINKS = st.sampled_from([link.id for link in ISP.links])
DEVICES = [router.name for router in ISP.routers]
DEVICE = st.sampled_from(DEVICES)
UPSTREAMS = [link.id for link in ISP.links if link.kind is LinkKind.UPSTREAM]
# Each case builds a whole network, which is slow on a busy machine.
property_test = settings(deadline=None, max_examples=60)
# Counters and times, which healing does not restore.
HISTORY = frozenset(
    {
        *("uptime", "adjacency", "timeout", "state-changes", "link-downs", "session-id", ".id"),
        *("last-link-down-time", "last-link-up-time", "last-started", "last-stopped"),
        *("write-sect-since-reboot", "write-sect-total", "remote.messages", "remote.bytes"),
        *("local.messages", "local.bytes", "updates-sent", "updates-received"),
        *("rx-byte", "tx-byte", "rx-bytes", "tx-bytes", "rx-packet", "tx-packet"),
        *("fp-rx-byte", "fp-tx-byte", "fp-rx-packet", "fp-tx-packet"),
    }
)


def spec(kind: str, **details) -> st.SearchStrategy[dict]:
    return st.fixed_dictionaries({"kind": st.just(kind), **details})


SPECS = st.one_of(
    spec("link_cut", link=LINKS),
    spec("flap", link=LINKS, period_s=st.floats(2, 600)),
    spec("latency", link=LINKS, ms=st.floats(0.1, 500)),
    spec("loss", link=LINKS, pct=st.floats(0.1, 100)),
    spec("power_loss", site=st.sampled_from([site.key for site in ISP.sites])),
    spec("device_down", device=DEVICE),
    spec("reboot", device=DEVICE, seconds=st.floats(1, 60)),
    spec("api_down", device=DEVICE),
    spec("upstream_down", link=st.sampled_from(UPSTREAMS)),
    spec("pppoe_down", device=st.sampled_from([service.device for service in ISP.services])),
    st.sampled_from(ISP.bgp_peers).map(
        lambda peer: {"kind": "bgp_down", "device": peer.device, "peer": peer.name}
    ),
)
FAILURES = st.lists(SPECS, max_size=6).map(
    lambda specs: [
        create_failure(f"f{number}", NOON + timedelta(seconds=number), spec, ISP)
        for number, spec in enumerate(specs)
    ]
)


def network_with(failures: list[Failure]) -> Network:
    network = Network(ISP, NOON)
    for failure in failures:
        network.advance(failure.at)
        network.inject(failure)
    return network


def is_connected(effects: Effects, origin: str, device: str) -> bool:
    """Brute force: spread over the links between routers that are up until nothing new is reached."""
    alive = set(DEVICES) - effects.devices_down
    pairs = [
        {link.a.device, link.z.device}
        for link in ISP.links
        if link.z and link.id not in effects.links_down
    ]
    reached = {origin} & alive
    for _ in DEVICES:
        for pair in pairs:
            if pair & reached and pair <= alive:
                reached |= pair
    return device in reached


def readings(network: Network, *, at: datetime) -> dict[tuple[str, str], list[dict[str, str]]]:
    """Rows of all menus of all routers without history. Subscribers are counted, not listed."""
    rows_of = {}
    for router in ISP.routers:
        view = View(network, router, at)
        for path, menu in menus_of(view).items():
            if menu.count is not None:
                rows_of[router.name, path] = [{"count": str(menu.count(view))}]
                continue
            rows_of[router.name, path] = [
                {key: value for key, value in row.items() if key not in HISTORY}
                for row in takewhile(is_no_subscriber, menu.rows(view))
            ]
    return rows_of


def is_no_subscriber(row: dict[str, str]) -> bool:
    """Their interfaces are the last of the menu."""
    return row.get("type") != "pppoe-in"


HEALTHY = Network(ISP, NOON)
HEALTHY_READINGS = readings(HEALTHY, at=LATER)


class TestEffects:
    @property_test
    @given(FAILURES, st.randoms(), st.integers(0, 300))
    def test_do_not_depend_on_the_order(self, failures, rng, seconds):
        at = NOON + timedelta(seconds=seconds)
        one = combine(failure.effects(ISP, at=at) for failure in failures)
        shuffled = list(failures)
        rng.shuffle(shuffled)
        other = combine(failure.effects(ISP, at=at) for failure in shuffled)
        assert rounded(one) == rounded(other)

    @property_test
    @given(FAILURES)
    def test_of_nothing_are_nothing(self, failures):
        for failure in failures:
            effects = failure.effects(ISP, at=NOON)
            assert rounded(effects | Effects()) == rounded(Effects() | effects) == rounded(effects)


def rounded(effects: Effects) -> tuple:
    losses = {link: round(loss, 9) for link, loss in effects.losses.items()}
    return (
        *(effects.links_down, effects.devices_down, effects.unresponsive_apis),
        *(effects.peers_down, effects.services_down, effects.delays, losses),
    )


class TestComposedModel:
    @property_test
    @given(FAILURES, DEVICE, DEVICE)
    def test_reachability_equals_brute_force(self, failures, origin, device):
        network = network_with(failures)
        effects = combine(failure.effects(ISP, at=network.last_change_at) for failure in failures)
        assert network.reaches(origin, device) is is_connected(effects, origin, device)
        assert network.reaches(device, origin) is network.reaches(origin, device)
        if network.reaches(origin, device):
            assert 0 <= network.route(origin, device).delivery_ratio <= 1

    @property_test
    @given(FAILURES, st.integers(0, 300))
    def test_sessions_follow_from_reachability(self, failures, seconds):
        network = network_with(failures)
        network.advance(max(network.last_change_at, NOON + timedelta(seconds=seconds)))
        effects = combine(failure.effects(ISP, at=network.last_change_at) for failure in failures)
        for peer in ISP.bgp_peers:
            far = is_connected(effects, "er1", "er2") if peer.remote_device else None
            link = ISP.link(peer.link or "")
            alive = peer.device not in effects.devices_down
            path = far if link is None else alive and link.id not in effects.links_down
            intact = (peer.device, peer.name) not in effects.peers_down
            assert network.record_of(peer).up is network.is_established(peer) is (path and intact)
        for service in ISP.services:
            path = is_connected(effects, service.access, service.device)
            expected = path and service.device not in effects.services_down
            assert network.record_of(service).up is network.is_served(service) is expected

    @property_test
    @given(FAILURES, st.randoms())
    def test_healing_in_any_order_restores_the_healthy_replies(self, failures, rng):
        network = network_with(failures)
        order = [failure.id for failure in failures]
        rng.shuffle(order)
        for number, failure_id in enumerate(order):
            at = NOON + timedelta(seconds=60 + number)
            network.advance(at)
            network.heal(failure_id, at=at)
        assert network.failures == {}
        assert network.next_change_at() is None
        assert readings(network, at=LATER) == HEALTHY_READINGS
        assert all(record.up for record in network.records.values())
        for origin in DEVICES:
            assert network.routes_from(origin) == HEALTHY.routes_from(origin)

    @property_test
    @given(FAILURES, st.integers(1, 300))
    def test_changes_do_not_depend_on_how_often_they_are_applied(self, failures, seconds):
        often, at_once = network_with(failures), network_with(failures)
        until = at_once.last_change_at + timedelta(seconds=seconds)
        while (change_at := often.next_change_at()) is not None and change_at <= until:
            often.advance(change_at)
        while at_once.advance(until):
            pass
        assert often.failures == at_once.failures
        for link in ISP.links:
            assert often.is_up(link) is at_once.is_up(link)

    @property_test
    @given(FAILURES)
    def test_outlives_a_kill(self, failures):
        network = network_with(failures)
        again, _ = from_document(to_document(network, 7), ISP)
        assert again == network
        assert readings(again, at=LATER) == readings(network, at=LATER)
        for failure in failures:
            assert failure_from(failure.describe(), ISP) == failure

    @property_test
    @given(FAILURES)
    def test_counters_grow_or_start_at_zero(self, failures):
        """Between two boots of its router a port's counters never run backwards."""
        network = Network(ISP, NOON)
        samples: list[dict] = []
        for failure in failures:
            network.advance(failure.at)
            samples.append(counters(network, at=failure.at))
            network.inject(failure)
        samples.append(counters(network, at=network.last_change_at))
        for before, after in pairwise(samples):
            for key, (boots, seconds) in after.items():
                assert boots > before[key][0] or seconds >= before[key][1]


def counters(network: Network, *, at: datetime) -> dict[tuple[str, str], tuple[int, float]]:
    return {
        (port.device, port.interface): (
            boots_of(network.record_of(ISP.router(port.device))),
            network.record_of(port).seconds_up(at),
        )
        for link in ISP.links
        for port in link.ends()
    }


def boots_of(router: StateRecord) -> int:
    """How often it came back: one that is down has yet to."""
    return router.downs - (not router.up)
