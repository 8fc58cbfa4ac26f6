"""Service tiles and degradations of the home page, and link utilization."""

from datetime import datetime, timedelta

import pytest
from django.core.cache import caches
from django.urls import reverse

from apps.accounts.models import Membership
from apps.core import clock
from apps.core.local_cache import cached
from apps.inventory.models import Link, ProbeTarget, Service
from apps.inventory.services import create_probe_target
from apps.telemetry import store
from apps.telemetry.sparklines import current_rates, sparklines
from apps.telemetry.store import Sample, SeriesKey
from apps.telemetry.utilization import link_utilization
from apps.tenancy import acting_in
from apps.topology.selectors import MapLink
from tests.clients import queries
from tests.console.test_pages import text_of
from tests.incidents.monitored_network import ACTOR

pytestmark = pytest.mark.django_db

RX, TX = "interface.rx_bytes_total", "interface.tx_bytes_total"
GIGABIT = 1_000_000_000


@pytest.fixture
def now() -> datetime:
    return clock.now().replace(microsecond=0)


@pytest.fixture
def read(stage, now):
    """Store readings of a series: ``read("service", pk, metric, {seconds_ago: value})``."""

    def write(kind: str, pk, metric: str, values: dict[float, float]) -> None:
        key = SeriesKey(kind, pk, metric)
        samples = [
            Sample(key, now - timedelta(seconds=ago), value) for ago, value in values.items()
        ]
        with acting_in(stage.tenant):
            store.write_batch(samples=samples, received_at=now)

    return write


def home(client) -> str:
    caches["local"].clear()
    return text_of(client.get(reverse("console:home")))


class TestSparklines:
    def test_a_slot_says_its_last_reading_and_a_gap_nothing(self, stage, read, now):
        pk = stage.pppoe.id
        read("service", pk, "pppoe.sessions.active", {3500: 1, 1900: 5, 1850: 6, 10: 9})

        with acting_in(stage.tenant):
            found = sparklines(
                metrics=["pppoe.sessions.active"],
                entity_ids=[pk],
                start=now - timedelta(hours=1),
                end=now,
                slots=4,
            )

        assert list(found.values()) == [[1, 6, None, 9]]

    @pytest.mark.parametrize(
        ("values", "rate"),
        [
            ({60: 1000, 0: 7000}, 100),
            ({60: 7000, 0: 1000}, None),  # it was set back
            ({0: 7000}, None),
            ({10: 1000, 0: 7000}, None),  # too near to tell
            ({3600: 1000, 0: 7000}, None),  # too far
            ({400: 1000, 300: 7000}, None),  # no longer now
        ],
    )
    def test_a_rate_needs_two_readings_of_now(self, stage, read, now, values, rate):
        with acting_in(stage.tenant):
            port = stage.interface("cr1", "er1")
        read("interface", port, RX, values)

        with acting_in(stage.tenant):
            found = current_rates(metrics=[RX], entity_ids=[port], since=now - timedelta(minutes=3))

        assert found.get((port, RX)) == rate


class TestLinkUtilization:
    @pytest.mark.parametrize(
        ("megabits", "percent"),
        [(0, 0), (450, 45), (990, 99), (1240, 124), (2000, 200), (2_000_000, 20_000)],
    )
    def test_is_the_busier_way_that_is_possible(self, stage, read, now, megabits, percent):
        with acting_in(stage.tenant):
            port = stage.interface("cr1", "er1")
        read("interface", port, RX, {60: 0, 0: megabits * 1e6 / 8 * 60})
        read("interface", port, TX, {60: 0, 0: megabits * 1e5 / 8 * 60})
        link = MapLink(
            stage.links["er1-cr1"].id, "w", stage.devices["er1"].id, None, (port,), GIGABIT
        )

        with acting_in(stage.tenant):
            assert link_utilization(now, [link]).get(link.id) == percent

    def test_a_link_of_unknown_capacity_has_no_utilization(self, stage, read, now):
        with acting_in(stage.tenant):
            port = stage.interface("cr1", "er1")
        read("interface", port, RX, {60: 0, 0: 1e9})
        link = MapLink(stage.links["er1-cr1"].id, "w", stage.devices["er1"].id, None, (port,))

        with acting_in(stage.tenant):
            assert link_utilization(now, [link]) == {}


class TestTiles:
    def test_sessions_are_summed_and_unmonitored_services_counted(
        self, log_in, acme_noc, stage, read
    ):
        with acting_in(stage.tenant):
            other = Service.objects.create(name="pppoe-south", kind="pppoe")
        read("service", stage.pppoe.id, "pppoe.sessions.active", {20: 1412})
        read("service", other.id, "pppoe.sessions.active", {900: 500})

        page = home(log_in(acme_noc))

        assert "PPPoE access Warning 1,412 sessions" in page
        assert "2 services, 1 not monitored now" in page

    def test_a_service_without_sessions_is_down(self, log_in, acme_noc, stage, read):
        read("service", stage.pppoe.id, "pppoe.sessions.active", {20: 0})

        assert "PPPoE access Down 0 sessions" in home(log_in(acme_noc))

    def test_who_may_see_nothing_sees_no_tile(self, log_in, acme_noc, stage, read):
        read("service", stage.pppoe.id, "pppoe.sessions.active", {20: 1412})
        Membership.objects.filter(user=acme_noc).update(is_limited=True)

        assert "1,412" not in home(log_in(acme_noc))


class TestDegradations:
    @pytest.fixture
    def target(self, stage) -> ProbeTarget:
        with acting_in(stage.tenant):
            return create_probe_target(
                name="agg1 ping",
                method="udp_echo",
                address="127.20.0.4",
                port=7,
                device=stage.devices["agg1"],
                actor=ACTOR,
                at=stage.t0,
            )

    def test_no_degradations_shows_a_message(self, log_in, acme_noc, stage):
        assert "No saturated links" in home(log_in(acme_noc))

    def test_lost_packets(self, log_in, acme_noc, read, target):
        read("probe_target", target.id, "probe.ping.loss_pct", {10: 12})

        assert "agg1 ping packets lost 12 % 0 %" in home(log_in(acme_noc))

    @pytest.mark.parametrize("loss", [0, 100])
    def test_neither_nothing_lost_nor_all(self, log_in, acme_noc, read, target, loss):
        read("probe_target", target.id, "probe.ping.loss_pct", {10: loss})

        assert "packets lost" not in home(log_in(acme_noc))

    def test_an_answer_is_slow_by_what_is_usual_for_it(self, log_in, acme_noc, read, target):
        usual = {3600.0 * hours: 20.0 for hours in range(2, 20)}
        read("probe_target", target.id, "probe.ping.rtt_ms", {**usual, 10: 95})

        assert "agg1 ping response time 95 ms 20 ms" in home(log_in(acme_noc))

    def test_what_is_always_slow_is_no_degradation(self, log_in, acme_noc, read, target):
        usual = {3600.0 * hours: 90.0 for hours in range(2, 20)}
        read("probe_target", target.id, "probe.ping.rtt_ms", {**usual, 10: 95})

        assert "response time" not in home(log_in(acme_noc))

    def test_a_saturated_link_comes_before_a_lossy_target(
        self, log_in, acme_noc, stage, read, target
    ):
        with acting_in(stage.tenant):
            port = stage.interface("cr1", "er1")
            Link.objects.filter(pk=stage.links["er1-cr1"].id).update(capacity_bps=GIGABIT)
        read("interface", port, RX, {60: 0, 0: 0.97e9 / 8 * 60})
        read("probe_target", target.id, "probe.ping.loss_pct", {10: 3})

        page = home(log_in(acme_noc))

        assert page.index("97 %") < page.index("packets lost")
        assert "used, of 1 G" in page

    def test_many_cost_what_one_costs(self, log_in, acme_noc, stage, read, target):
        read("probe_target", target.id, "probe.ping.loss_pct", {10: 12})
        client = log_in(acme_noc)
        few = queries(lambda: home(client))
        for device in stage.devices.values():
            with acting_in(stage.tenant):
                more = ProbeTarget.objects.create(
                    name=f"{device.name} again",
                    device=device,
                    method="udp_echo",
                    address="127.20.0.9",
                    port=7,
                )
            read("probe_target", more.id, "probe.ping.loss_pct", {10: 30})

        assert queries(lambda: home(client)) == few


class TestCached:
    def test_is_computed_once(self):
        caches["local"].clear()
        created = []

        answers = [
            cached("k", seconds=9, compute=lambda: created.append(1) or "a") for _ in range(3)
        ]

        assert (answers, created) == (["a"] * 3, [1])

    def test_is_shared_by_unlimited_members_only(
        self, log_in, stage, read, acme_noc, acme_readonly
    ):
        caches["local"].clear()
        read("service", stage.pppoe.id, "pppoe.sessions.active", {10: 1412})
        path = reverse("console:home")
        assert "1,412 sessions" in text_of(log_in(acme_noc).get(path))
        Membership.objects.filter(user=acme_noc).update(is_limited=True)

        page = text_of(log_in(acme_noc).get(path))

        assert "sessions" not in page
        assert "1,412 sessions" in text_of(log_in(acme_readonly).get(path))
