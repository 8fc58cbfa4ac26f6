"""RouterOS 6 and 7: their menus, and that our collector and third-party libraries read both."""

import re
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import librouteros
import pytest
import routeros_api
from librouteros.exceptions import MultiTrapError, TrapError

from agent.collectors.base import Endpoint
from agent.collectors.errors import ConnectionFailed
from agent.collectors.logins import DecryptedLogin
from agent.collectors.routeros.collector import RouterPoller
from agent.collectors.routeros.menus import (
    areas_of,
    bgp_v6_of,
    major_version_of,
    ospf_of,
    with_areas,
)
from agent.protocol.registry import Tier
from agent.simulator.failures import create_failure
from agent.simulator.generator import generate_blueprint
from agent.simulator.menus.view import View
from agent.simulator.network import Network
from agent.simulator.routeros.commands import Trap, parse, reply_to
from tests.agent.simulator.harness import (
    AGENT_CORE,
    TIMEOUT_SECONDS,
    SimulatorThread,
    free_port,
    options_for,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD = ("er1", "bng1", "acc1")
ISP = generate_blueprint(1, v6=OLD)
EVERYTHING = frozenset(Tier)


def rows(device: str, menu: str, network: Network | None = None) -> list[dict[str, str]]:
    view = View(network or Network(ISP, NOON), ISP.router(device), NOON)
    return [
        dict(word[1:].split("=", 1) for word in sentence[1:])
        for sentence in reply_to(view, parse([f"{menu}/print"]))
        if sentence[0] == "!re"
    ]


class TestSix:
    def test_health_is_one_flat_row(self):
        (row,) = rows("acc1", "/system/health")
        assert ".id" not in row
        assert float(row["voltage"]) > 20
        assert len(rows("acc2", "/system/health")) > 5

    def test_dates_are_american(self):
        (clock,) = rows("acc1", "/system/clock")
        assert (clock["date"], clock["time"]) == ("mar/01/2026", "15:00:00")
        port = rows("acc1", "/interface")[1]
        assert re.fullmatch(r"[a-z]{3}/\d\d/\d{4} \d\d:\d\d:\d\d", port["last-link-up-time"])
        (resource,) = rows("acc1", "/system/resource")
        assert resource["version"] == "6.49.17 (stable)"

    def test_an_empty_list_has_no_empty_sentence(self):
        view = View(Network(ISP, NOON), ISP.router("acc1"), NOON)
        assert list(reply_to(view, parse(["/ppp/active/print"]))) == [["!done"]]

    @pytest.mark.parametrize("menu", ["/routing/bgp/session", "/caps-man/interface", "/nothing"])
    def test_a_missing_menu_is_one_trap(self, menu):
        view = View(Network(ISP, NOON), ISP.router("acc1"), NOON)
        with pytest.raises(Trap) as trapped:
            reply_to(view, parse([f"{menu}/print"]))
        assert trapped.value.messages == ("no such command prefix",)

    def test_a_neighbor_has_an_interface_but_no_area(self):
        (row,) = rows("acc1", "/routing/ospf/neighbor")
        assert row["interface"] == "sfp-sfpplus1"
        assert "area" not in row
        assert row["ls-requests"] == "0"
        areas = list(areas_of(rows("acc1", "/routing/ospf/network")))
        (reading,) = with_areas(ospf_of([row]), areas)
        assert reading.area == "backbone"

    def test_a_peer_that_is_down_has_a_state_and_no_counters(self):
        network = Network(ISP, NOON)
        up = rows("er1", "/routing/bgp/peer", network)
        assert [row["state"] for row in up] == ["established", "established"]
        for name, spec in (
            ("f1", {"kind": "upstream_down", "link": "er1-upstream-a"}),
            ("f2", {"kind": "link_cut", "link": "cr1-er1"}),
        ):
            network.inject(create_failure(name, NOON, spec, ISP))
        down = rows("er1", "/routing/bgp/peer", network)
        assert [row["state"] for row in down] == ["active", "active"]
        assert not {"uptime", "prefix-count", "established"} & set(down[0])
        network.inject(
            create_failure("f3", NOON, {"kind": "link_cut", "link": "er1-upstream-a"}, ISP)
        )
        assert rows("er1", "/routing/bgp/peer", network)[0]["state"] == "idle"
        assert [peer.is_up for peer in bgp_v6_of(down)] == [False, False]
        assert [peer.is_up for peer in bgp_v6_of(up)] == [True, True]

    def test_all_packages_are_installed(self):
        packages = rows("acc1", "/system/package")
        assert len(packages) > 5
        assert all(row["version"] == "6.49.17" for row in packages)
        assert not any("available" in row for row in packages)

    def test_has_no_vrf(self):
        for menu in ("/ip/address", "/ip/service"):
            assert not any("vrf" in row for row in rows("acc1", menu))
            assert all("vrf" in row for row in rows("acc2", menu))


class TestAreas:
    def test_the_longest_match_counts_and_disabled_networks_do_not(self):
        areas = list(
            areas_of(
                [
                    {"network": "10.0.0.0/8", "area": "backbone", "disabled": "false"},
                    {"network": "10.0.7.0/24", "area": "north"},
                    {"network": "10.0.7.0/30", "area": "gone", "disabled": "true"},
                    {"network": "nonsense", "area": "x"},
                    {"network": "10.0.7.0/31"},
                ]
            )
        )
        neighbors = ospf_of(
            {"router-id": "1.1.1.1", "address": address, "state": "Full"}
            for address in ("10.0.7.2", "10.9.9.9", "192.0.2.1", "", "fe80::1%ether1")
        )
        matched = [row.area for row in with_areas(neighbors, areas)]
        assert matched == ["north", "backbone", "", "", ""]

    @pytest.mark.parametrize(
        ("version", "major_version"),
        [("6.49.17", 6), ("7.19.4", 7), ("7", 7), (None, None), ("", None), ("beta", None)],
    )
    def test_major_versions(self, version, major_version):
        assert major_version_of(version) == major_version


@pytest.fixture(scope="module")
def old_sim(tmp_path_factory):
    options = options_for(tmp_path_factory.mktemp("old"), relay_to=("127.0.0.1", 1))
    with SimulatorThread(replace(options, v6=OLD, api_ssl_port=free_port())) as simulator:
        yield simulator


class TestCollector:
    @pytest.fixture
    def poller(self, old_sim):
        pollers = []

        def make_poller(device: str, *, use_tls: bool = False) -> RouterPoller:
            address, port = old_sim.address(device)
            isp = old_sim.simulation.isp
            port = old_sim.options.api_ssl_port if use_tls else port
            endpoint = Endpoint(address, port, use_tls, AGENT_CORE)
            pollers.append(RouterPoller(endpoint, DecryptedLogin(isp.username, isp.password)))
            return pollers[-1]

        yield make_poller
        for poller in pollers:
            poller.close()

    @pytest.mark.parametrize("device", ["er1", "er2"])
    def test_reads_the_same_of_both(self, old_sim, poller, device):
        reading = poller(device).poll(EVERYTHING, TIMEOUT_SECONDS)
        assert reading.device.version == ("6.49.17" if device in OLD else "7.19.4")
        assert reading.device.values["device.temp_c"] > 30
        assert reading.device.values["device.psu.ok"] == 1
        assert abs(reading.device.values["device.clock.skew_seconds"]) < TIMEOUT_SECONDS
        assert [(peer.is_up, peer.remote_as) for peer in reading.bgp] == [
            (True, 64496 if device == "er1" else 64497),
            (True, 64500),
        ]
        assert all(peer.prefixes_in > 100_000 for peer in reading.bgp)
        neighbors = old_sim.request("GET", "/topology")["ospf_neighbors"]
        assert {(row.router_id, row.area, row.address) for row in reading.ospf} == {
            (n["router_id"], n["area"], n["address"]) for n in neighbors if n["device"] == device
        }
        assert all(row.is_up for row in reading.ospf)
        assert any("interface.optic.rx_dbm" in port for port in reading.ports.values())

    @pytest.mark.parametrize("device", ["bng1", "bng2", "acc3"])
    def test_counts_the_sessions_of_both(self, old_sim, poller, device):
        (service,) = poller(device).poll(EVERYTHING, TIMEOUT_SECONDS).services
        assert service.active == old_sim.simulation.isp.service_at(device).population

    @pytest.mark.parametrize("device", ["bng1", "er2"])
    def test_reads_both_over_tls(self, poller, device):
        reading = poller(device, use_tls=True).poll(EVERYTHING, TIMEOUT_SECONDS)
        assert reading.device.identity == device
        assert len(reading.ospf) == 1

    def test_an_unresponsive_api_times_out_over_tls_too(self, old_sim, poller):
        one = poller("acc1", use_tls=True)
        one.poll(EVERYTHING, TIMEOUT_SECONDS)
        old_sim.inject("api_down", device="acc1")
        with pytest.raises(ConnectionFailed, match="in time"):
            one.poll({Tier.FAST}, 0.2)
        old_sim.heal()
        assert one.poll({Tier.FAST}, 5.0).device.version == "6.49.17"

    def test_requests_no_menu_that_v6_lacks(self, old_sim, poller, caplog):
        poller("er1").poll(EVERYTHING, TIMEOUT_SECONDS)
        assert "router_menu_unavailable" not in caplog.text

    def test_keeps_the_areas_between_slow_polls(self, old_sim, poller):
        one = poller("acc1")
        first = one.poll(EVERYTHING, TIMEOUT_SECONDS)
        second = one.poll({Tier.FAST}, 5.0)
        assert second.cost.commands == 3
        assert [row.area for row in second.ospf] == [row.area for row in first.ospf] == ["backbone"]


class TestLibraries:
    @pytest.mark.parametrize("device", ["er1", "er2"])
    def test_librouteros_reads_both(self, old_sim, device):
        isp = old_sim.simulation.isp
        host, port = old_sim.address(device)
        menu = ("routing", "bgp", "peer" if device in OLD else "session")
        refusal = TrapError if device in OLD else MultiTrapError
        with closing(librouteros.connect(host, isp.username, isp.password, port=port)) as api:
            assert [row["established"] for row in api.path(*menu)] == [True, True]
            assert list(api.path("ppp", "active")) == []
            health = list(api.path("system", "health"))
            assert (len(health) == 1) == (device in OLD)
            with pytest.raises(refusal, match="no such command"):
                list(api.path("caps-man", "interface"))

    @pytest.mark.parametrize("device", ["er1", "er2"])
    def test_routeros_api_reads_both(self, old_sim, device):
        isp = old_sim.simulation.isp
        host, port = old_sim.address(device)
        pool = routeros_api.RouterOsApiPool(
            host, username=isp.username, password=isp.password, port=port, plaintext_login=True
        )
        try:
            api = pool.get_api()
            (neighbor,) = api.get_resource("/routing/ospf/neighbor").get()
            assert ("interface" in neighbor) == (device in OLD)
            assert api.get_resource("/ppp/active").get() == []
            assert api.get_resource("/system/identity").get() == [{"name": device}]
        finally:
            pool.disconnect()
