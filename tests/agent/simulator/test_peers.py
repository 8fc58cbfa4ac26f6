"""Other people's readers, librouteros and mktxp, on RouterOS 6 and 7: what they read is what the model says.

mktxp comes from the package index into an environment of its own: it pins other versions of what we use.
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
from tests.agent.simulator.running import Simulation, free_port, plan_for
from tests.supervisor.waiting import HANG_SECONDS, attempts

OLD = ("er1", "bng1", "acc1")
NEW = ("er2", "bng2", "acc3")
MKTXP = "mktxp==2.1.0"
STARTS_WITHIN = HANG_SECONDS


@dataclass
class Said:
    """What a reader said of one router, in the model's words."""

    version: str = ""
    memory: int = 0
    running: dict[str, bool] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    established: dict[str, bool] = field(default_factory=dict)
    prefixes: dict[str, int] = field(default_factory=dict)
    sessions: int = 0


class Truth:
    """What the model says of the same router at this moment."""

    def __init__(self, simulation: Simulation, device: str) -> None:
        self._world = simulation.world
        self.router: Router = self._world.isp.router(device)

    @property
    def is_old(self) -> bool:
        return RELEASES[self.router.os].is_v6

    def peers(self) -> list[BgpPeer]:
        return [row for row in self._world.isp.bgp_peers if row.device == self.router.name]

    def running(self) -> dict[str, bool]:
        network = self._world.network
        wires = self._world.isp.links_at(self.router.name)
        return {port.interface: network.is_up(link) for link, port in wires}

    def received(self) -> dict[str, int]:
        """Bytes by port, as counted until now."""
        network, now = self._world.network, self._world.clock()
        return {
            port.interface: counters_of(
                self._world.isp.seed, link, port, network.record_of(port).seconds_up(now)
            ).rx_bytes
            for link, port in self._world.isp.links_at(self.router.name)
        }

    def established(self) -> dict[str, bool]:
        return {row.name: self._world.network.is_established(row) for row in self.peers()}

    def sessions(self) -> int:
        service = self._world.isp.service_at(self.router.name)
        if service is None:
            return 0
        return self._world.network.sessions(service, at=self._world.clock())


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> Iterator[Simulation]:
    """An upstream's wire, another upstream's session and one of two uplinks are gone."""
    plan = plan_for(tmp_path_factory.mktemp("peers"), relay_to=("127.0.0.1", 1))
    with Simulation(replace(plan, v6=OLD)) as simulation:
        simulation.cut("er1-upstream-a")
        simulation.break_("upstream_down", link="er2-upstream-b")
        simulation.cut("cr4-acc3")
        yield simulation


def check(said: Said, truth: Truth, before: dict[str, int], after: dict[str, int]) -> None:
    assert said.version.startswith(truth.router.os)
    assert said.memory == truth.router.memory_bytes
    ports = truth.running()
    assert {name: said.running[name] for name in ports} == ports
    assert said.established == truth.established()
    assert said.sessions == truth.sessions()
    for peer in truth.peers():
        # RouterOS 6 says nothing of the prefixes of a session that is down, RouterOS 7 what it last had.
        if said.established[peer.name] or not truth.is_old:
            assert said.prefixes[peer.name] == peer.prefix_count
    for name in ports:
        assert before[name] <= said.received[name] <= after[name]


def peer_name(name: str, *, is_old: bool) -> str:
    """RouterOS 7 numbers the sessions of a connection."""
    return name if is_old else name.removesuffix("-1")


class TestLibrouteros:
    @pytest.mark.parametrize("device", [*OLD, *NEW])
    def test_reads_the_truth(self, broken, device):
        truth, isp = Truth(broken, device), broken.world.isp
        host, port = broken.address(device)
        before = truth.received()
        with closing(librouteros.connect(host, isp.username, isp.password, port=port)) as api:
            said = self._read(api, truth)

        check(said, truth, before, truth.received())

    def _read(self, api: Any, truth: Truth) -> Said:
        (resource,) = api.path("system", "resource")
        ports = list(api.path("interface"))
        menu = "peer" if truth.is_old else "session"
        peers = {
            peer_name(row["name"], is_old=truth.is_old): row
            for row in api.path("routing", "bgp", menu)
        }
        return Said(
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
    """The program, freshly installed."""
    folder = tmp_path_factory.mktemp("mktxp") / "venv"
    venv.create(folder, with_pip=True)
    done = subprocess.run(
        [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--retries", "1", MKTXP],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"No package index gives {MKTXP} here: {done.stderr.strip()[-200:]}")
    return folder / "bin" / "mktxp"


def settings_of(simulation: Simulation, port: int) -> dict[str, str]:
    """mktxp's two files: where it listens, and which routers it reads."""
    isp = simulation.world.isp
    asks = "".join(
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
        host, api_port = simulation.address(device)
        routers += (
            f"[{device}]\n    enabled = True\n    hostname = {host}\n    port = {api_port}\n"
            f"    username = {isp.username}\n    password = {isp.password}\n"
            f"    use_ssl = False\n    plaintext_login = True\n{asks}"
        )
    listen = f"[MKTXP]\n    listen = '127.0.0.1:{port}'\n    socket_timeout = 5\n"
    return {"_mktxp.conf": listen, "mktxp.conf": routers}


@pytest.fixture(scope="module")
def scraped(broken, mktxp, tmp_path_factory) -> "Scraped":
    """One scrape of all six, and the bytes that the model had counted before and after it."""
    folder, port = tmp_path_factory.mktemp("settings"), free_port("127.0.0.1")
    for name, text in settings_of(broken, port).items():
        (folder / name).write_text(text)
    before = received_by_all(broken)
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
    return Scraped(read_metrics(text), before, received_by_all(broken), log_text)


@dataclass(frozen=True)
class Scraped:
    """What mktxp said of every router."""

    said: dict[str, Said]
    before: dict[str, dict[str, int]]
    after: dict[str, dict[str, int]]
    log: str


def received_by_all(simulation: Simulation) -> dict[str, dict[str, int]]:
    return {device: Truth(simulation, device).received() for device in (*OLD, *NEW)}


def fetch(url: str) -> str:
    for _ in attempts(f"{url} answering"):
        with suppress(urllib.error.URLError):
            with urllib.request.urlopen(url, timeout=STARTS_WITHIN) as answer:
                return answer.read().decode()
    raise AssertionError


def read_metrics(text: str) -> dict[str, Said]:
    found: dict[str, Said] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            device = sample.labels.get("routerboard_name")
            if device:
                said = found.setdefault(device, Said())
                take(said, sample.name, sample.labels, sample.value, is_old=device in OLD)
    return found


def take(said: Said, name: str, labels: dict[str, str], value: float, *, is_old: bool) -> None:
    port = labels.get("name", "")
    peer = peer_name(port, is_old=is_old)
    match name.removeprefix("mktxp_"):
        case "system_total_memory":
            said.memory, said.version = int(value), labels["version"]
        case "interface_running":
            said.running[port] = bool(value)
        case "interface_rx_byte_total":
            said.received[port] = int(value)
        case "interface_type_info":
            said.sessions += labels["type"] == "pppoe-in"
        case "bgp_sessions_info":
            said.established.setdefault(peer, False)
        case "bgp_established":
            said.established[peer] = bool(value)
        case "bgp_prefix_count":
            said.prefixes[peer] = int(value)


@pytest.mark.long
class TestMktxp:
    @pytest.mark.parametrize("device", [*OLD, *NEW])
    def test_reads_the_truth(self, broken, scraped, device):
        assert device in scraped.said, scraped.log[-2000:]

        check(
            scraped.said[device],
            Truth(broken, device),
            scraped.before[device],
            scraped.after[device],
        )

    def test_both_generations_were_there(self, scraped, record_property):
        versions = sorted({re.split(r"[. ]", row.version)[0] for row in scraped.said.values()})
        assert versions == ["6", "7"]
        record_property(
            "bar",
            f"{MKTXP} and librouteros: {len(scraped.said)} routers of RouterOS 6 and 7 read as"
            " the model has them",
        )
