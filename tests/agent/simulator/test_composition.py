"""Any failures together, in any order: the model is the sum of them, and healing them all leaves only history."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.simulator.blueprint import LinkKind
from agent.simulator.drawing import draw_blueprint
from agent.simulator.effects import Effects, sum_of
from agent.simulator.failures import Failure, failure_from, plan_failure
from agent.simulator.history import Record
from agent.simulator.menus import menus_of
from agent.simulator.menus.view import View
from agent.simulator.network import Network
from agent.simulator.state import restored, written

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)  # every subscriber is back by then
ISP = draw_blueprint(1)
LINKS = st.sampled_from([link.id for link in ISP.links])
DEVICES = [router.name for router in ISP.routers]
DEVICE = st.sampled_from(DEVICES)
UPSTREAMS = [link.id for link in ISP.links if link.kind is LinkKind.UPSTREAM]
# A whole network for each case takes its time, on a busy machine even more.
patiently = settings(deadline=None, max_examples=60)
# What grows, was counted, or says since when: that healing does not bring back.
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


def wish(kind: str, **details) -> st.SearchStrategy[dict]:
    return st.fixed_dictionaries({"kind": st.just(kind), **details})


WISHES = st.one_of(
    wish("link_cut", link=LINKS),
    wish("flap", link=LINKS, period_s=st.floats(2, 600)),
    wish("latency", link=LINKS, ms=st.floats(0.1, 500)),
    wish("loss", link=LINKS, pct=st.floats(0.1, 100)),
    wish("power_loss", site=st.sampled_from([site.key for site in ISP.sites])),
    wish("device_down", device=DEVICE),
    wish("reboot", device=DEVICE, seconds=st.floats(1, 60)),
    wish("api_down", device=DEVICE),
    wish("upstream_down", link=st.sampled_from(UPSTREAMS)),
    wish("pppoe_down", device=st.sampled_from([service.device for service in ISP.services])),
    st.sampled_from(ISP.bgp_peers).map(
        lambda peer: {"kind": "bgp_down", "device": peer.device, "peer": peer.name}
    ),
)
FAILURES = st.lists(WISHES, max_size=6).map(
    lambda wishes: [
        plan_failure(f"f{number}", NOON + timedelta(seconds=number), one, ISP)
        for number, one in enumerate(wishes)
    ]
)


def lived(failures: list[Failure]) -> Network:
    network = Network(ISP, NOON)
    for failure in failures:
        network.advance(failure.at)
        network.break_(failure)
    return network


def joined(effects: Effects, place: str, device: str) -> bool:
    """Brute force: spread over the wires between living routers until nothing new is found."""
    alive = set(DEVICES) - effects.dead_devices
    pairs = [
        {link.a.device, link.z.device}
        for link in ISP.links
        if link.z and link.id not in effects.dark_links
    ]
    found = {place} & alive
    for _ in DEVICES:
        for pair in pairs:
            if pair & found and pair <= alive:
                found |= pair
    return device in found


def said(network: Network, *, at: datetime) -> dict[tuple[str, str], list[dict[str, str]]]:
    """Everything that all routers say, less their history. Subscribers are counted, not listed."""
    told = {}
    for router in ISP.routers:
        view = View(network, router, at)
        for path, menu in menus_of(view).items():
            if menu.count is not None:
                told[router.name, path] = [{"count": str(menu.count(view))}]
                continue
            told[router.name, path] = [
                {key: value for key, value in row.items() if key not in HISTORY}
                for row in takewhile(is_no_subscriber, menu.rows(view))
            ]
    return told


def is_no_subscriber(row: dict[str, str]) -> bool:
    """Their interfaces are the last of the menu."""
    return row.get("type") != "pppoe-in"


HEALTHY = Network(ISP, NOON)
HEALTHY_ANSWERS = said(HEALTHY, at=LATER)


class TestEffects:
    @patiently
    @given(FAILURES, st.randoms(), st.integers(0, 300))
    def test_do_not_depend_on_the_order(self, failures, chance, seconds):
        at = NOON + timedelta(seconds=seconds)
        one = sum_of(failure.effects(ISP, at=at) for failure in failures)
        shuffled = list(failures)
        chance.shuffle(shuffled)
        other = sum_of(failure.effects(ISP, at=at) for failure in shuffled)
        assert rounded(one) == rounded(other)

    @patiently
    @given(FAILURES)
    def test_of_nothing_are_nothing(self, failures):
        for failure in failures:
            effects = failure.effects(ISP, at=NOON)
            assert rounded(effects | Effects()) == rounded(Effects() | effects) == rounded(effects)


def rounded(effects: Effects) -> tuple:
    losses = {link: round(loss, 9) for link, loss in effects.losses.items()}
    return (
        *(effects.dark_links, effects.dead_devices, effects.silent_apis),
        *(effects.broken_peers, effects.dead_services, effects.delays, losses),
    )


class TestComposedModel:
    @patiently
    @given(FAILURES, DEVICE, DEVICE)
    def test_reachability_is_what_brute_force_finds(self, failures, place, device):
        network = lived(failures)
        effects = sum_of(failure.effects(ISP, at=network.noted_at) for failure in failures)
        assert network.reaches(place, device) is joined(effects, place, device)
        assert network.reaches(device, place) is network.reaches(place, device)
        if network.reaches(place, device):
            assert 0 <= network.trip(place, device).arrives <= 1

    @patiently
    @given(FAILURES, st.integers(0, 300))
    def test_sessions_follow_from_it(self, failures, seconds):
        network = lived(failures)
        network.advance(max(network.noted_at, NOON + timedelta(seconds=seconds)))
        effects = sum_of(failure.effects(ISP, at=network.noted_at) for failure in failures)
        for peer in ISP.bgp_peers:
            far = joined(effects, "er1", "er2") if peer.remote_device else None
            link = ISP.link(peer.link or "")
            alive = peer.device not in effects.dead_devices
            path = far if link is None else alive and link.id not in effects.dark_links
            intact = (peer.device, peer.name) not in effects.broken_peers
            assert network.record_of(peer).up is network.is_established(peer) is (path and intact)
        for service in ISP.services:
            path = joined(effects, service.access, service.device)
            expected = path and service.device not in effects.dead_services
            assert network.record_of(service).up is network.is_served(service) is expected

    @patiently
    @given(FAILURES, st.randoms())
    def test_healing_in_any_order_brings_the_healthy_answers_back(self, failures, chance):
        network = lived(failures)
        order = [failure.id for failure in failures]
        chance.shuffle(order)
        for number, failure_id in enumerate(order):
            at = NOON + timedelta(seconds=60 + number)
            network.advance(at)
            network.heal(failure_id, at=at)
        assert network.failures == {}
        assert network.next_turn() is None
        assert said(network, at=LATER) == HEALTHY_ANSWERS
        assert all(record.up for record in network.records.values())
        for place in DEVICES:
            assert network.reached_from(place) == HEALTHY.reached_from(place)

    @patiently
    @given(FAILURES, st.integers(1, 300))
    def test_what_happens_by_itself_does_not_depend_on_who_looks(self, failures, seconds):
        often, once = lived(failures), lived(failures)
        until = once.noted_at + timedelta(seconds=seconds)
        while (turn := often.next_turn()) is not None and turn <= until:
            often.advance(turn)
        while once.advance(until):
            pass
        assert often.failures == once.failures
        for link in ISP.links:
            assert often.is_up(link) is once.is_up(link)

    @patiently
    @given(FAILURES)
    def test_outlives_a_kill(self, failures):
        network = lived(failures)
        again, _ = restored(written(network, 7), ISP)
        assert again == network
        assert said(again, at=LATER) == said(network, at=LATER)
        for failure in failures:
            assert failure_from(failure.describe(), ISP) == failure

    @patiently
    @given(FAILURES)
    def test_counters_grow_or_start_at_nothing(self, failures):
        """Between two boots of its router a port's counters never run backwards."""
        network = Network(ISP, NOON)
        seen: list[dict] = []
        for failure in failures:
            network.advance(failure.at)
            seen.append(counted(network, at=failure.at))
            network.break_(failure)
        seen.append(counted(network, at=network.noted_at))
        for before, after in pairwise(seen):
            for key, (boots, seconds) in after.items():
                assert boots > before[key][0] or seconds >= before[key][1]


def counted(network: Network, *, at: datetime) -> dict[tuple[str, str], tuple[int, float]]:
    return {
        (port.device, port.interface): (
            boots_of(network.record_of(ISP.router(port.device))),
            network.record_of(port).seconds_up(at),
        )
        for link in ISP.links
        for port in link.ends()
    }


def boots_of(router: Record) -> int:
    """How often it came back: one that is down has yet to."""
    return router.downs - (not router.up)
