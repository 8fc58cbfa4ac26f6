"""Connection tests by the real agent: every outcome, and from the request to its result."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.__main__ import main
from agent.collectors.device import MonitoredDevice
from agent.diagnostics.connection import try_connection
from agent.protocol.registry import Tier
from agent.protocol.sealing import seal_for
from agent.state import public_bytes
from apps.agents.models import Agent
from apps.core import clock
from apps.diagnostics.models import ConnectionTest
from apps.diagnostics.services import request_test
from apps.inventory import services as inventory
from apps.inventory.models import Device
from apps.tenancy import acting_in
from apps.vault.services import store_credential_set
from tests.agent.conftest import ACTOR
from tests.agent.fake_router import DEVICE_ID, MENUS, PASSWORD, FakeRouter, device_config
from tests.agent.simulator.harness import AGENT_CORE, EchoServer, SimulatorThread, options_for
from tests.inventory.factories import AT
from tests.slots import free_port
from tests.supervisor.waiting import HANG_SECONDS, eventually

KEY = X25519PrivateKey.generate()
FIRST, SECOND = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"


def credential(password: str, credential_set: str = FIRST) -> dict[str, str]:
    sealed = seal_for(public_bytes(KEY), password.encode(), DEVICE_ID)
    return {"credential_set": credential_set, "username": "mon", "sealed_password": sealed}


def job(
    port: int, *credentials, address: str = "127.0.0.1", tls: bool = False, timeout=HANG_SECONDS
):
    device = {"id": DEVICE_ID, "address": address, "port": port, "tls": tls}
    return {"timeout_s": timeout, "device": {**device, "credentials": list(credentials)}}


@pytest.fixture
def router():
    instance = FakeRouter(dict(MENUS))
    yield instance
    instance.close()


class TestTryConnection:
    def test_a_working_login_reports_the_routers_identity(self, router):
        result = try_connection(job(router.port, credential(PASSWORD)), KEY)

        assert result.pop("latency_ms") > 0
        assert result == {
            "outcome": "ok",
            "credential_set": FIRST,
            "identity": "cr1",
            "version": "7.19.4",
            "board_name": MENUS_BOARD,
            "detail": "",
        }

    def test_the_next_login_is_tried_when_one_is_refused(self, router):
        result = try_connection(
            job(router.port, credential("wrong"), credential(PASSWORD, SECOND)), KEY
        )

        assert (result["outcome"], result["credential_set"]) == ("ok", SECOND)
        assert router.logins == 2

    def test_wrong_credentials(self, router):
        result = try_connection(job(router.port, credential("wrong")), KEY)

        assert result["outcome"] == "wrong_credentials"
        assert "wrong" not in result["detail"]

    def test_no_credentials(self, router):
        other_key = X25519PrivateKey.generate()

        assert try_connection(job(router.port), KEY)["outcome"] == "no_credentials"
        assert (
            try_connection(job(router.port, credential(PASSWORD)), other_key)["outcome"]
            == "no_credentials"
        )
        assert router.logins == 0

    def test_refused(self):
        assert try_connection(job(free_port(), credential(PASSWORD)), KEY)["outcome"] == "refused"

    def test_api_disabled(self, router):
        router.on_connect = lambda connection: connection.close()

        result = try_connection(job(router.port, credential(PASSWORD)), KEY)

        assert result["outcome"] == "api_disabled"

    def test_another_service_on_the_port(self, router):
        router.on_connect = lambda connection: connection.sendall(b"SSH-2.0-ROSSSH\r\n" * 4)

        result = try_connection(job(router.port, credential(PASSWORD)), KEY)

        assert result["outcome"] in {"api_disabled", "timeout"}

    def test_timeout(self, router):
        router.on_connect = lambda _connection: router.stop.wait()

        result = try_connection(job(router.port, credential(PASSWORD), timeout=1.0), KEY)

        assert result["outcome"] == "timeout"

    def test_tls_failed(self, router):
        def nonsense(connection: socket.socket) -> None:
            with suppress(OSError):
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3)

        router.on_connect = nonsense

        result = try_connection(job(router.port, credential(PASSWORD), tls=True), KEY)

        assert result["outcome"] == "tls_failed"

    def test_unreachable(self):
        result = try_connection(job(8728, credential(PASSWORD), address="::ffff:0:0"), KEY)

        assert result["outcome"] in {"unreachable", "refused"}


MENUS_BOARD = next(
    word.removeprefix("=board-name=")
    for sentence in MENUS["/system/resource/print"]
    for word in sentence
    if word.startswith("=board-name=")
)


class TestPolling:
    """Polling with several logins."""

    def make_device(self, router: FakeRouter, *credentials) -> MonitoredDevice:
        config = device_config(KEY, router.port)
        config["credentials"] = list(credentials)
        return MonitoredDevice(config, KEY, "127.0.0.1")

    def test_the_next_login_is_tried_and_the_working_one_is_reported_and_used_first(self, router):
        device = self.make_device(router, credential("old"), credential(PASSWORD, SECOND))

        result = device.poll([Tier.FAST])

        assert device.message == "ok"
        (item,) = result.patch["devices"]
        assert item["credential_set"] == SECOND
        device.close()
        before = router.logins
        device.poll([Tier.FAST])
        assert router.logins == before + 1, "the one that worked is tried first"
        device.close()

    def test_when_every_login_is_refused_the_message_says_so(self, router):
        device = self.make_device(router, credential("old"), credential("older", SECOND))

        device.poll([Tier.FAST])

        assert "refused the login" in device.message
        assert router.logins == 2

    def test_an_older_server_sends_one_login(self, router):
        device = MonitoredDevice(device_config(KEY, router.port), KEY, "127.0.0.1")

        result = device.poll([Tier.FAST])

        assert device.message == "ok"
        assert "credential_set" not in result.patch["devices"][0]
        device.close()

    def test_another_password_in_the_config_ends_the_session(self, router):
        device = self.make_device(router, credential(PASSWORD))
        device.poll([Tier.FAST])
        changed = {**device.config, "credentials": [credential("new one")]}

        device.update_config(changed)
        device.poll([Tier.FAST])

        assert "refused the login" in device.message


@contextmanager
def running(state: Path) -> Iterator[None]:
    """The real agent, at the address of an agent of the simulated ISP."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "agent",
            "run",
            "--state-dir",
            str(state),
            "--source-address",
            AGENT_CORE,
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def run_test(ingest, device, **chosen) -> ConnectionTest:
    """Request a connection test and wait for its result."""
    with acting_in(ingest.tenant):
        test = request_test(device=device, actor=ACTOR, at=clock.now(), **chosen)

    def is_done() -> bool:
        with acting_in(ingest.tenant):
            test.refresh_from_db()
        return test.state == "done"

    eventually(is_done)
    return test


def test_from_a_request_to_its_result_by_the_real_agent_on_the_simulated_isp(
    ingest, tmp_path: Path
):
    """Also: a changed login is used after the next config poll; until then the next login of the list is."""
    with EchoServer() as echo:
        options = options_for(tmp_path / "sim", relay_to=("127.0.0.1", echo.port))
        with SimulatorThread(options) as simulator:
            address, port = simulator.address("bng1")
            isp = simulator.simulation.isp
            with acting_in(ingest.tenant):
                who = {"actor": ACTOR, "at": AT}
                wrong = store_credential_set(
                    name="wrong", username=isp.username, secret="not it", **who
                )
                right = store_credential_set(
                    name="right", username=isp.username, secret=isp.password, **who
                )
            token, device = ingest.token(
                management_address=address, api_port=port, polling_profile={"fast_s": 1}
            )
            with acting_in(ingest.tenant):
                inventory.set_device_credentials(
                    device=device, credential_sets=[wrong, right], **who
                )
            state = tmp_path / "state"
            assert main(["enroll", "--token", token, "--state-dir", str(state)]) == 0
            with running(state):
                eventually(lambda: has_heartbeat(ingest))
                test = run_test(ingest, device)
                assert (test.outcome, test.accepted_credential_set) == ("ok", right.id), test.detail
                assert test.identity
                assert test.latency_ms > 0
                assert run_test(ingest, device, credential_set=wrong).outcome == "wrong_credentials"
                eventually(lambda: working_credential_set(ingest, device) == right.id)

                # The preferred login is corrected: it works with the next config, before the other login is removed.
                with acting_in(ingest.tenant):
                    store_credential_set(
                        name="wrong", username=isp.username, secret=isp.password, **who
                    )
                    inventory.set_device_credentials(device=device, credential_sets=[wrong], **who)
                eventually(lambda: working_credential_set(ingest, device) == wrong.id)


def has_heartbeat(ingest) -> bool:
    with acting_in(ingest.tenant):
        return Agent.objects.get().last_heartbeat_at is not None


def working_credential_set(ingest, device):
    with acting_in(ingest.tenant):
        return Device.objects.get(pk=device.pk).working_credential_set
