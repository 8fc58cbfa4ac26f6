"""Every kind of failure: its effects, what it leaves unchanged, and its healing."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from agent.simulator.changes import Change
from agent.simulator.cli import main
from agent.simulator.failures import (
    KINDS,
    Failure,
    MalformedFailure,
    UnknownTarget,
    create_failure,
    failure_from,
)
from agent.simulator.generator import generate_blueprint
from agent.simulator.menus.view import View
from agent.simulator.network import MAX_REPLAYED_CHANGES, Network
from agent.simulator.routeros.commands import parse, reply_to
from agent.simulator.state import StateFile

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ISP = generate_blueprint(1)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)

SPECS = [
    {"kind": "link_cut", "link": "cr2-agg1"},
    {"kind": "flap", "link": "cr2-agg1", "period_s": 10.0},
    {"kind": "latency", "link": "cr2-agg1", "ms": 80.0},
    {"kind": "loss", "link": "cr2-agg1", "pct": 25.0},
    {"kind": "power_loss", "site": "north", "battery_s": 0.0},
    {"kind": "device_down", "device": "bng1"},
    {"kind": "reboot", "device": "bng1", "seconds": 20.0},
    {"kind": "api_down", "device": "bng1"},
    {"kind": "upstream_down", "link": "er1-upstream-a"},
    {"kind": "bgp_down", "device": "er1", "peer": "ibgp-er2"},
    {"kind": "pppoe_down", "device": "bng1"},
]


def inject(network: Network, *, at: datetime = NOON, name: str = "f1", **spec) -> Failure:
    failure = create_failure(name, at, spec, ISP)
    network.inject(failure)
    return failure


def rows(network: Network, device: str, menu: str, *, at: datetime) -> list[dict[str, str]]:
    view = View(network, ISP.router(device), at)
    return [
        dict(word[1:].split("=", 1) for word in sentence[1:])
        for sentence in reply_to(view, parse([f"{menu}/print"]))
        if sentence[0] == "!re"
    ]


def established(network: Network) -> set[tuple[str, str]]:
    return {(p.device, p.name) for p in ISP.bgp_peers if network.is_established(p)}


@pytest.fixture
def network() -> Network:
    return Network(ISP, NOON)


class TestCreateFailure:
    def test_there_is_a_spec_for_every_kind(self):
        assert [spec["kind"] for spec in SPECS] == list(KINDS)

    @pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec["kind"])
    def test_are_saved_and_restored(self, spec):
        failure = create_failure("f1", NOON, spec, ISP)
        assert failure_from(json.loads(json.dumps(failure.describe())), ISP) == failure
        assert str(failure).endswith("(f1)")

    @pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec["kind"])
    def test_need_exactly_their_fields(self, spec):
        with pytest.raises(MalformedFailure):
            create_failure("f1", NOON, {**spec, "for": "ever"}, ISP)
        for name in spec.keys() - {"kind", "seconds", "battery_s"}:
            with pytest.raises(MalformedFailure):
                create_failure("f1", NOON, {k: v for k, v in spec.items() if k != name}, ISP)
            with pytest.raises(MalformedFailure):
                create_failure("f1", NOON, {**spec, name: [spec[name]]}, ISP)

    @pytest.mark.parametrize(
        ("spec", "code"),
        [
            ({"kind": "power_loss", "site": "moon"}, "unknown_site"),
            ({"kind": "device_down", "device": "moon"}, "unknown_device"),
            ({"kind": "flap", "link": "moon", "period_s": 1}, "unknown_link"),
            ({"kind": "upstream_down", "link": "moon"}, "unknown_link"),
            ({"kind": "bgp_down", "device": "moon", "peer": "x"}, "unknown_device"),
            ({"kind": "bgp_down", "device": "er1", "peer": "x"}, "unknown_peer"),
        ],
    )
    def test_with_unknown_targets_are_refused(self, spec, code):
        with pytest.raises(UnknownTarget) as refused:
            create_failure("f1", NOON, spec, ISP)
        assert refused.value.code == code

    @pytest.mark.parametrize(
        "spec",
        [
            {"kind": "upstream_down", "link": "cr1-cr2"},
            {"kind": "pppoe_down", "device": "cr1"},
            {"kind": "flap", "link": "cr1-cr2", "period_s": 0},
            {"kind": "latency", "link": "cr1-cr2", "ms": float("nan")},
            {"kind": "loss", "link": "cr1-cr2", "pct": 101},
            {"kind": "loss", "link": "cr1-cr2", "pct": True},
            {"kind": "reboot", "device": "cr1", "seconds": 10**400},
        ],
    )
    def test_with_invalid_values_are_refused(self, spec):
        with pytest.raises(MalformedFailure):
            create_failure("f1", NOON, spec, ISP)


class TestPower:
    def test_a_site_without_power_reaches_nothing_and_its_neighbors_detect_it(self, network):
        inject(network, kind="power_loss", site="north")
        assert network.routes_from("agg1").latencies == {}
        assert not network.reaches("agg1", "agg1")
        assert not network.reaches("cr1", "bng1")
        (port,) = [
            row
            for row in rows(network, "cr2", "/interface", at=NOON + SECOND)
            if row.get("comment") == "to agg1"
        ]
        assert port["running"] == "false"
        assert all(network.reaches("cr1", name) for name in ("cr2", "er2", "bng2"))

    def test_on_battery_its_routers_report_it_until_it_is_empty(self, network):
        failure = inject(network, kind="power_loss", site="north", battery_s=30)
        assert network.reaches("cr1", "bng1")
        for device in ("agg1", "acc1"):  # both versions
            health = rows(network, device, "/system/health", at=NOON + SECOND)
            states = [row["value"] for row in health if row.get("name") == "psu1-state"]
            states += [row["psu1-state"] for row in health if "psu1-state" in row]
            assert states == ["fail"]
        assert failure.next_change_at(NOON) == NOON + 30 * SECOND

        network.advance(NOON + 31 * SECOND)

        assert not network.reaches("cr1", "bng1")
        assert failure.next_change_at(NOON + 31 * SECOND) is None

    def test_a_router_boots_without_history(self, network):
        before = rows(network, "agg1", "/interface", at=NOON)[1]
        failure = inject(network, kind="power_loss", site="north")
        network.heal(failure.id, at=NOON + MINUTE)
        at = NOON + MINUTE + 3 * SECOND
        (resource,) = rows(network, "agg1", "/system/resource", at=at)
        assert resource["uptime"] == "3s"
        port = rows(network, "agg1", "/interface", at=at)[1]
        assert (port["running"], port["link-downs"]) == ("true", "0")
        assert "last-link-down-time" not in port
        assert 0 < int(port["rx-byte"]) < int(before["rx-byte"])
        far_port = next(
            row
            for row in rows(network, "cr2", "/interface", at=at)
            if row.get("comment") == "to agg1"
        )
        assert far_port["link-downs"] == "1"
        assert int(far_port["rx-byte"]) > int(port["tx-byte"])
        (resource,) = rows(network, "cr2", "/system/resource", at=at)
        assert resource["uptime"] != "3s"

    def test_subscribers_return_one_by_one(self, network):
        service = ISP.service_at("bng1")
        failure = inject(network, kind="device_down", device="bng1")
        assert network.sessions(service, at=NOON + SECOND) == 0
        network.heal(failure.id, at=NOON + MINUTE)
        sessions = network.sessions(service, at=NOON + MINUTE + 10 * SECOND)
        assert 0 < sessions < service.population
        assert network.sessions(service, at=NOON + 2 * MINUTE) == service.population

    def test_one_router_down_affects_only_its_own_sessions(self, network):
        inject(network, kind="device_down", device="er1")
        assert established(network) == {("er2", "upstream-b")}
        assert network.reaches("cr1", "er2")
        assert not network.reaches("cr1", "er1")

    def test_a_bgp_session_never_up_since_the_boot_has_no_row(self, network):
        inject(network, name="f1", kind="upstream_down", link="er1-upstream-a")
        inject(network, name="f2", kind="device_down", device="er1")
        network.heal("f2", at=NOON + MINUTE)
        sessions = rows(network, "er1", "/routing/bgp/session", at=NOON + 2 * MINUTE)
        assert [row["name"] for row in sessions] == ["ibgp-er2-1"]
        assert len(rows(network, "er1", "/routing/bgp/connection", at=NOON)) == 2


class TestReboot:
    def test_ends_by_itself(self, network):
        inject(network, kind="reboot", device="cr1", seconds=20)
        assert not network.is_alive(ISP.router("cr1"))
        assert network.next_change_at() == NOON + 20 * SECOND
        assert not network.advance(NOON + 19 * SECOND)
        assert network.advance(NOON + 25 * SECOND)
        assert network.failures == {}
        (resource,) = rows(network, "cr1", "/system/resource", at=NOON + 25 * SECOND)
        assert resource["uptime"] == "5s"

    def test_takes_the_duration_from_the_seed(self):
        spec = {"kind": "reboot", "device": "cr1"}
        one, other = (create_failure("f1", NOON, spec, ISP) for _ in range(2))
        assert one == other
        assert 10 <= one.describe()["seconds"] <= 30

    def test_under_a_power_loss_waits_for_the_power(self, network):
        inject(network, name="f1", kind="power_loss", site="hub")
        inject(network, name="f2", kind="reboot", device="cr1", seconds=20)
        network.advance(NOON + MINUTE)
        assert not network.is_alive(ISP.router("cr1"))
        network.heal("f1", at=NOON + 2 * MINUTE)
        assert network.record_of(ISP.router("cr1")).since == NOON + 2 * MINUTE


class TestSessions:
    def test_an_upstream_session_is_down_while_its_link_is_up(self, network):
        inject(network, kind="upstream_down", link="er1-upstream-a")
        assert ("er1", "upstream-a") not in established(network)
        assert len(established(network)) == 3
        assert network.is_up(ISP.link("er1-upstream-a"))
        assert network.record_of(ISP.link("er1-upstream-a")).downs == 0
        down, _ = rows(network, "er1", "/routing/bgp/session", at=NOON + SECOND)
        assert "established" not in down

    @pytest.mark.parametrize(("device", "peer"), [("er1", "ibgp-er2"), ("er2", "ibgp-er1")])
    def test_a_bgp_session_has_two_ends(self, network, device, peer):
        inject(network, kind="bgp_down", device=device, peer=peer)
        assert established(network) == {("er1", "upstream-a"), ("er2", "upstream-b")}

    def test_without_pppoe_the_router_works(self, network):
        failure = inject(network, kind="pppoe_down", device="bng1")
        at = NOON + SECOND
        assert rows(network, "bng1", "/ppp/active", at=at) == []
        assert len(rows(network, "bng1", "/interface/pppoe-server/server", at=at)) == 1
        assert len(rows(network, "bng1", "/routing/ospf/neighbor", at=at)) == 1
        assert network.answers_api("bng1")
        network.heal(failure.id, at=NOON + MINUTE)
        service = ISP.service_at("bng1")
        assert network.sessions(service, at=NOON + 2 * MINUTE) == service.population

    def test_an_unresponsive_api_affects_nothing_else(self, network):
        inject(network, kind="api_down", device="agg1")
        assert not network.answers_api("agg1")
        assert network.reaches("cr1", "agg1")
        assert all(record.up for record in network.records.values())


class TestFlap:
    def test_goes_down_and_up_until_it_is_healed(self, network):
        link = ISP.link("cr1-cr2")
        failure = inject(network, kind="flap", link="cr1-cr2", period_s=10)
        states = []
        for second in range(0, 20, 5):
            network.advance(NOON + second * SECOND)
            states.append(network.is_up(link))
        assert states == [False, True, False, True]
        network.advance(NOON + 21 * SECOND)
        assert network.record_of(link).downs == 3
        network.heal(failure.id, at=NOON + 22 * SECOND)
        assert network.is_up(link)
        assert network.next_change_at() is None

    def test_after_a_long_time_not_every_change_is_replayed(self, network):
        link = ISP.link("cr1-cr2")
        inject(network, kind="flap", link="cr1-cr2", period_s=1)
        network.advance(NOON + timedelta(days=30))
        assert network.record_of(link).downs <= MAX_REPLAYED_CHANGES
        assert network.is_up(link) is False
        assert network.next_change_at() > NOON + timedelta(days=30)


class TestQuality:
    def test_delays_add_up_along_the_path_and_do_not_change_the_route(self, network):
        before = network.route("cr1", "bng1")
        inject(network, name="f1", kind="latency", link="cr2-agg1", ms=80)
        inject(network, name="f2", kind="latency", link="cr2-agg1", ms=20)
        inject(network, name="f3", kind="latency", link="cr1-cr2", ms=3000)
        route = network.route("cr1", "bng1")
        assert route.latency == before.latency
        on_ring = network.route("cr1", "cr2").delay
        assert route.delay - on_ring == timedelta(milliseconds=100)

    def test_losses_multiply(self, network):
        inject(network, name="f1", kind="loss", link="cr2-agg1", pct=50)
        inject(network, name="f2", kind="loss", link="agg1-bng1", pct=50)
        inject(network, name="f3", kind="loss", link="cr2-agg1", pct=50)
        assert network.route("cr2", "agg1").delivery_ratio == pytest.approx(0.25)
        assert network.route("cr2", "bng1").delivery_ratio == pytest.approx(0.125)
        assert network.route("cr2", "cr1").delivery_ratio == 1
        assert all(record.up for record in network.records.values())


class TestChanges:
    def change(self, network, **spec) -> Change:
        number = len(network.changes) + 1
        change = Change.create(f"c{number}", NOON + number * SECOND, spec, ISP)
        network.changes.append(change)
        return change

    def test_are_the_top_of_the_history(self, network):
        before = rows(network, "cr1", "/system/history", at=NOON)
        change = self.change(network, device="cr1", menu="/ip/firewall/filter")
        after = rows(network, "cr1", "/system/history", at=NOON + MINUTE)
        assert after[1:] == before
        assert (after[0]["action"], after[0]["by"]) == ("filter rule added", change.by)
        assert after[0]["time"] == "2026-03-01 15:00:01"
        assert rows(network, "cr2", "/system/history", at=NOON) == before[:0] + rows(
            Network(ISP, NOON), "cr2", "/system/history", at=NOON
        )

    @pytest.mark.parametrize("menu", ["/interface", "/ip/firewall/filter"])
    def test_are_visible_in_their_menu(self, network, menu):
        at = NOON + MINUTE
        states = [rows(network, "cr1", menu, at=at)]
        for _ in range(2):
            self.change(network, device="cr1", menu=menu)
            states.append(rows(network, "cr1", menu, at=at))
        assert states[0] != states[1] != states[2]
        other = "/interface" if menu != "/interface" else "/ip/firewall/filter"
        assert rows(network, "cr1", other, at=at) == rows(Network(ISP, NOON), "cr1", other, at=at)

    def test_the_seed_chooses_the_menu(self):
        one, other = (Change.create("c1", NOON, {"device": "cr1"}, ISP) for _ in range(2))
        assert one == other

    @pytest.mark.parametrize(
        "spec", [{}, {"device": 1}, {"device": "cr1", "menu": "/user"}, {"device": "cr1", "x": 1}]
    )
    def test_with_invalid_values_are_refused(self, spec):
        with pytest.raises(MalformedFailure):
            Change.create("c1", NOON, spec, ISP)


class TestState:
    def test_everything_survives_a_restart(self, tmp_path, network):
        for number, spec in enumerate(SPECS):
            inject(network, name=f"f{number}", **spec)
        network.changes.append(Change.create("c1", NOON, {"device": "cr1"}, ISP))
        StateFile(tmp_path).save(network, 12)
        from_document, last = StateFile(tmp_path).load(ISP, now=NOON)
        assert last == 12
        assert from_document == network
        later, _ = StateFile(tmp_path).load(ISP, now=NOON + MINUTE)
        assert later.failures.keys() == network.failures.keys() - {"f6"}  # the reboot has ended

    def test_a_file_of_an_older_version_is_loaded(self, tmp_path, network):
        inject(network, kind="link_cut", link="cr2-agg1")
        file = StateFile(tmp_path)
        file.save(network, 1)
        document = json.loads(file.path.read_text())
        old = {key: document[key] for key in ("seed", "began_at", "last_number", "failures")}
        records = {k: v for k, v in document["records"].items() if k.startswith(("link", "bgp"))}
        file.path.write_text(json.dumps({**old, "records": records}))
        assert file.load(ISP, now=NOON + MINUTE)[0] == network


class TestCommandLine:
    @pytest.fixture
    def at(self, sim):
        host, port = sim.control
        return ["--control", f"{host}:{port}"]

    @pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec["kind"])
    def test_injects_every_kind(self, sim, at, capsys, spec):
        details = [f"{name}={value}" for name, value in spec.items() if name != "kind"]
        assert main(["break", spec["kind"], *details, *at]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert {**shown, **spec} == shown
        assert sim.request("GET", "/failures") == [shown]

    def test_changes_a_router(self, sim, at, capsys):
        assert main(["break", "config_change", "device=cr1", *at]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert sim.request("GET", "/failures") == []
        assert shown in sim.request("GET", "/truth")["changes"]

    @pytest.mark.parametrize("words", [["earthquake"], ["link_cut", "link"], ["loss", "=1"]])
    def test_requires_names_and_values(self, at, words, capsys):
        with pytest.raises(SystemExit):
            main(["break", *words, *at])
