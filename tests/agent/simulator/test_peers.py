"""Third-party clients, librouteros and mktxp, on RouterOS 6 and 7: they read what the model has.

mktxp is installed from the package index into an environment of its own, because it pins other versions.
"""

import re
import subprocess
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import librouteros
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.simulator.blueprint import BgpPeer, Router
from agent.simulator.menus.traffic import counters_of
from agent.simulator.routeros.version import RELEASES
from tests.agent.simulator.harness import SimulatorThread, free_port, options_for
from tests.supervisor.waiting import HANG_SECONDS, attempts

OLD = ("er1", "bng1", "acc1")
NEW = ("er2", "bng2", "acc3")
MKTXP = "mktxp==2.1.0"
STARTS_WITHIN = HANG_SECONDS


@dataclass
class Readings:
    """Readings of one router by a third-party client."""

    version: str = ""
    memory: int = 0
    running: dict[str, bool] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    established: dict[str, bool] = field(default_factory=dict)
    prefixes: dict[str, int] = field(default_factory=dict)
    sessions: int = 0


class Truth:
    """The state of the same router in the model, now."""

    def __init__(self, simulator: SimulatorThread, device: str) -> None:
        self._simulation = simulator.simulation
        self.router: Router = self._simulation.isp.router(device)

    @property
    def is_old(self) -> bool:
        return RELEASES[self.router.os].is_v6

    def peers(self) -> list[BgpPeer]:
        return [row for row in self._simulation.isp.bgp_peers if row.device == self.router.name]

    def running(self) -> dict[str, bool]:
        network = self._simulation.network
        links = self._simulation.isp.links_at(self.router.name)
        return {port.interface: network.is_up(link) for link, port in links}

    def received(self) -> dict[str, int]:
        """Bytes by port, as counted until now."""
        network, now = self._simulation.network, self._simulation.clock()
        return {
            port.interface: counters_of(
                self._simulation.isp.seed, link, port, network.record_of(port).seconds_up(now)
            ).rx_bytes
            for link, port in self._simulation.isp.links_at(self.router.name)
        }

    def established(self) -> dict[str, bool]:
        return {row.name: self._simulation.network.is_established(row) for row in self.peers()}

    def sessions(self) -> int:
        service = self._simulation.isp.service_at(self.router.name)
        if service is None:
            return 0
        return self._simulation.network.sessions(service, at=self._simulation.clock())


@pytest.fixture(scope="module")
def failing_simulator(tmp_path_factory) -> Iterator[SimulatorThread]:
    """One upstream link, the session of the other upstream and one of two uplinks are down."""
    options = options_for(tmp_path_factory.mktemp("peers"), relay_to=("127.0.0.1", 1))
    with SimulatorThread(replace(options, v6=OLD)) as simulator:
        simulator.cut("er1-upstream-a")
        simulator.inject("upstream_down", link="er2-upstream-b")
        simulator.cut("cr4-acc3")
        yield simulator


def check(readings: Readings, truth: Truth, before: dict[str, int], after: dict[str, int]) -> None:
    assert readings.version.startswith(truth.router.os)
    assert readings.memory == truth.router.memory_bytes
    ports = truth.running()
    assert {name: readings.running[name] for name in ports} == ports
    assert readings.established == truth.established()
    assert readings.sessions == truth.sessions()
    for peer in truth.peers():
        # For a session that is down, RouterOS 6 has no prefix count, RouterOS 7 a stale one.
        if readings.established[peer.name] or not truth.is_old:
            assert readings.prefixes[peer.name] == peer.prefix_count
    for name in ports:
        assert before[name] <= readings.received[name] <= after[name]


def peer_name(name: str, *, is_old: bool) -> str:
    """RouterOS 7 numbers the sessions of a connection."""
    return name if is_old else name.removesuffix("-1")


class TestLibrouteros:
    @pytest.mark.parametrize("device", [*OLD, *NEW])
    def test_reads_the_truth(self, failing_simulator, device):
        truth, isp = Truth(failing_simulator, device), failing_simulator.simulation.isp
        host, port = failing_simulator.address(device)
        before = truth.received()
        with closing(librouteros.connect(host, isp.username, isp.password, port=port)) as api:
            readings = self._read(api, truth)

        check(readings, truth, before, truth.received())

    def _read(self, api: Any, truth: Truth) -> Readings:
        (resource,) = api.path("system", "resource")
        ports = list(api.path("interface"))
        menu = "peer" if truth.is_old else "session"
        peers = {
            peer_name(row["name"], is_old=truth.is_old): row
            for row in api.path("routing", "bgp", menu)
        }
        return Readings(
            version=resource["version"],
            memory=resource["total-memory"],
            running={row["name"]: row["running"] for row in ports},
            received={row["name"]: row["rx-byte"] for row in ports},
            established={name: row.get("established", False) for name, row in peers.items()},
            prefixes={name: row.get("prefix-count", 0) for name, row in peers.items()},
            sessions=len(list(api.path("ppp", "active"))),
        )


@pytest.fixture(scope="module")
def mktxp(tmp_path_factory) -> Path:
    """The program in a new virtual environment."""
    folder = tmp_path_factory.mktemp("mktxp") / "venv"
    venv.create(folder, with_pip=True)
    install = subprocess.run(
        [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--retries", "1", MKTXP],
        check=False,
        capture_output=True,
        text=True,
    )
    if install.returncode:
        pytest.skip(f"No package index gives {MKTXP} here: {install.stderr.strip()[-200:]}")
    return folder / "bin" / "mktxp"


def settings_of(simulator: SimulatorThread, port: int) -> dict[str, str]:
    """The two settings files of mktxp: its listen address and its routers."""
    isp = simulator.simulation.isp
    collectors = "".join(
        f"    {name} = {name in {'health', 'interface', 'bgp'}}\n"
        for name in (
            *("health", "interface", "bgp", "installed_packages", "dhcp", "dhcp_lease"),
            *("connections", "pool", "firewall", "neighbor", "poe", "monitor", "netwatch", "route"),
            *("public_ip", "wireless", "wireless_clients", "capsman", "capsman_clients", "lte"),
            *("user", "queue", "switch_port", "kid_control_assigned", "remote_dhcp_entry"),
        )
    )
    routers = ""
    for device in (*OLD, *NEW):
        host, api_port = simulator.address(device)
        routers += (
            f"[{device}]\n    enabled = True\n    hostname = {host}\n    port = {api_port}\n"
            f"    username = {isp.username}\n    password = {isp.password}\n"
            f"    use_ssl = False\n    plaintext_login = True\n{collectors}"
        )
    listen = f"[MKTXP]\n    listen = '127.0.0.1:{port}'\n    socket_timeout = 5\n"
    return {"_mktxp.conf": listen, "mktxp.conf": routers}


@pytest.fixture(scope="module")
def scraped(failing_simulator, mktxp, tmp_path_factory) -> "Scraped":
    """One scrape of all six, with the byte counters of the model before and after it."""
    folder, port = tmp_path_factory.mktemp("settings"), free_port("127.0.0.1")
    for name, text in settings_of(failing_simulator, port).items():
        (folder / name).write_text(text)
    before = received_by_all(failing_simulator)
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [mktxp, "--cfg-dir", folder, "export"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            text = fetch(f"http://127.0.0.1:{port}/metrics")
        finally:
            process.kill()
    log_text = (folder / "log").read_text()
    return Scraped(read_metrics(text), before, received_by_all(failing_simulator), log_text)


@dataclass(frozen=True)
class Scraped:
    """Readings of all routers by mktxp."""

    readings: dict[str, Readings]
    before: dict[str, dict[str, int]]
    after: dict[str, dict[str, int]]
    log: str


def received_by_all(simulator: SimulatorThread) -> dict[str, dict[str, int]]:
    return {device: Truth(simulator, device).received() for device in (*OLD, *NEW)}


def fetch(url: str) -> str:
    for _ in attempts(f"{url} answering"):
        with suppress(urllib.error.URLError):
            with urllib.request.urlopen(url, timeout=STARTS_WITHIN) as response:
                return response.read().decode()
    raise AssertionError


def read_metrics(text: str) -> dict[str, Readings]:
    by_device: dict[str, Readings] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            device = sample.labels.get("routerboard_name")
            if device:
                readings = by_device.setdefault(device, Readings())
                apply_sample(
                    readings, sample.name, sample.labels, sample.value, is_old=device in OLD
                )
    return by_device


def apply_sample(
    readings: Readings, name: str, labels: dict[str, str], value: float, *, is_old: bool
) -> None:
    port = labels.get("name", "")
    peer = peer_name(port, is_old=is_old)
    match name.removeprefix("mktxp_"):
        case "system_total_memory":
            readings.memory, readings.version = int(value), labels["version"]
        case "interface_running":
            readings.running[port] = bool(value)
        case "interface_rx_byte_total":
            readings.received[port] = int(value)
        case "interface_type_info":
            readings.sessions += labels["type"] == "pppoe-in"
        case "bgp_sessions_info":
            readings.established.setdefault(peer, False)
        case "bgp_established":
            readings.established[peer] = bool(value)
        case "bgp_prefix_count":
            readings.prefixes[peer] = int(value)


@pytest.mark.long
class TestMktxp:
    @pytest.mark.parametrize("device", [*OLD, *NEW])
    def test_reads_the_truth(self, failing_simulator, scraped, device):
        assert device in scraped.readings, scraped.log[-2000:]

        check(
            scraped.readings[device],
            Truth(failing_simulator, device),
            scraped.before[device],
            scraped.after[device],
        )

    def test_both_versions_were_read(self, scraped, record_property):
        versions = sorted({re.split(r"[. ]", row.version)[0] for row in scraped.readings.values()})
        assert versions == ["6", "7"]
        record_property(
            "bar",
            f"{MKTXP} and librouteros: {len(scraped.readings)} routers of RouterOS 6 and 7 read as"
            " the model has them",
        )
