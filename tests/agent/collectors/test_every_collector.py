"""What holds for every collector. A new folder of ``agent.collectors`` is tested here without another line.

Its module beside this one, of the same name, starts a device: ``running_device()``.
"""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.base import Endpoint, load_collector
from agent.collectors.device import MonitoredDevice
from agent.collectors.errors import DeviceFailed
from agent.collectors.logins import DecryptedLogin, decrypt_logins
from agent.collectors.registry import COLLECTORS, DEFAULT, SOURCES, has_collector
from agent.diagnostics.connection import try_connection
from agent.protocol.batch import BATCH_SCHEMA
from agent.protocol.registry import METRICS, Tier
from agent.protocol.sealing import seal_for
from agent.state import public_bytes
from agent.version import CAPABILITIES
from apps.diagnostics.choices import TestOutcome
from apps.ingest.schema import MetricItem
from apps.vault.kinds import KIND_SPECS, credential_errors
from tests.agent.collectors.running import RunningDevice
from tests.agent.fake_router import DEVICE_ID, device_config
from tests.slots import free_port

KEY = X25519PrivateKey.generate()
CANARY = "canary-of-a-login"


@pytest.fixture(params=sorted(COLLECTORS))
def facts(request):
    return COLLECTORS[request.param]


@pytest.fixture
def device(facts) -> Iterator[RunningDevice]:
    with import_module(f"tests.agent.collectors.{facts.name}").running_device() as running:
        yield running


def login_of(facts, device: RunningDevice, **changed: str) -> dict:
    """A login as the server sends it."""
    kind = KIND_SPECS[device.kind]
    secrets = {**device.secrets, **changed}

    def sealed(text: str) -> str:
        return seal_for(public_bytes(KEY), text.encode(), DEVICE_ID)

    return {
        "credential_set": str(uuid4()),
        "kind": device.kind,
        "username": device.username,
        "options": device.options,
        "sealed_password": sealed(secrets.get(kind.main_secret, "")),
        "sealed_secrets": sealed(json.dumps(secrets)),
    }


def config(facts, port: int, *logins: dict) -> Any:
    named = {"collector": facts.name, "credentials": list(logins)}
    # Long enough for a busy machine: nothing here waits for the end of it.
    return {**device_config(KEY, port, command_timeout=60.0), **named}


class TestFacts:
    def test_the_name_is_that_of_the_folder(self, facts):
        folder = import_module(f"agent.collectors.{facts.name}.facts")

        assert folder.FACTS is facts
        assert facts.name.replace("_", "").isalnum()
        assert facts.name.islower()
        assert len(facts.name) <= 30

    def test_it_has_what_pages_show(self, facts):
        assert all((facts.label, facts.software, facts.source_label))
        assert {0 < port < 2**16 for port in (facts.port, facts.default_port(tls=True))} == {True}
        assert facts.outcomes.keys() <= set(TestOutcome.values)

    def test_its_source_is_of_the_protocol_and_its_own(self, facts):
        schema = json.dumps(BATCH_SCHEMA)
        item = {"ts": "2026-03-01T12:00:00Z", "metric_name": "m", "entity_id": DEVICE_ID}
        item |= {"entity_type": "device", "source": facts.source}

        assert facts.source in SOURCES
        assert f'"{facts.source}"' in schema
        assert msgspec.convert(item, MetricItem, strict=False).source == facts.source
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({**item, "source": "hearsay"}, MetricItem, strict=False)
        assert [row.source for row in COLLECTORS.values()].count(facts.source) == 1

    def test_its_credential_kinds_are_its_own_and_check_their_fields(self, facts):
        assert facts.credentials
        for kind in facts.credentials:
            owners = [row.name for row in COLLECTORS.values() if kind in row.credentials]
            assert owners == [facts.name], "an approved login must not go out by another protocol"
            assert KIND_SPECS[kind.name] is kind, "the server has another kind of this name"
            assert kind.main_secret in kind.secrets
            assert credential_errors(kind.name, username="", options={}, secrets={}) != {}

    def test_the_agent_reports_it(self, facts):
        assert facts.source in CAPABILITIES
        assert has_collector(CAPABILITIES, facts.name)
        assert has_collector([], facts.name) == (facts.name == DEFAULT)


def test_the_facts_load_no_protocol_code():
    code = """
import sys
from agent.collectors.registry import COLLECTORS
print(*(name for name in sys.modules if name.startswith(("agent.", "cryptography", "routeros"))))
"""
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout

    assert set(output.split()) == {
        "agent.collectors",
        "agent.collectors.facts",
        "agent.collectors.registry",
        *(f"agent.collectors.{name}" for name in COLLECTORS),
        *(f"agent.collectors.{name}.facts" for name in COLLECTORS),
    }


class TestPolls:
    def test_a_poll_gives_registered_metrics_from_its_source(self, facts, device):
        polled = MonitoredDevice(
            config(facts, device.port, login_of(facts, device)), KEY, "127.0.0.1"
        )
        results = [polled.poll(list(Tier)), polled.poll([Tier.FAST])]
        polled.close()

        assert polled.message == "ok"
        for result in results:
            values = {(sample.metric, sample.entity_id): sample for sample in result.samples}
            assert values["device.api.up", DEVICE_ID].value == 1.0
            assert {sample.source for sample in result.samples} == {facts.source}
            assert {sample.metric for sample in result.samples} <= METRICS.keys()
        assert [item["id"] for item in results[0].patch["devices"]] == [DEVICE_ID]

    def test_a_session_is_kept_between_polls(self, facts, device):
        polled = MonitoredDevice(
            config(facts, device.port, login_of(facts, device)), KEY, "127.0.0.1"
        )
        logins = [
            next(s.value for s in polled.poll([Tier.FAST]).samples if s.metric.endswith("logins"))
            for _ in range(3)
        ]
        polled.close()

        assert logins[1:] == [0.0, 0.0]

    def test_a_closed_session_connects_again(self, facts, device):
        session = open_session(facts, device)
        for _ in range(2):
            session.connect(60.0)
            identity = session.identify()
            session.close()
            session.close()

        assert identity.identity or identity.version
        assert session.memory is None or isinstance(session.memory, str)


class TestConnectionTests:
    def test_the_login_of_the_device_works(self, facts, device):
        result = try_connection(job(facts, device.port, login_of(facts, device)), KEY)

        assert result["outcome"] == "ok"
        assert result["identity"] or result["version"]
        assert result["latency_ms"] > 0

    def test_another_login_does_not_and_is_not_repeated(self, facts, device):
        wrong = login_of(facts, device, **dict.fromkeys(device.secrets, CANARY))
        result = try_connection(job(facts, device.port, wrong), KEY)

        # A protocol without an answer to a wrong login can only say that it waited.
        assert result["outcome"] in {"wrong_credentials", "timeout"}
        assert CANARY not in result["detail"]

    def test_the_second_login_is_tried(self, facts, device):
        wrong = login_of(facts, device, **dict.fromkeys(device.secrets, CANARY))
        right = login_of(facts, device)
        if facts.transport == "udp":
            pytest.skip("a datagram protocol does not answer a wrong login")
        result = try_connection(job(facts, device.port, wrong, right), KEY)

        assert (result["outcome"], result["credential_set"]) == ("ok", right["credential_set"])


def job(facts, port: int, *logins: dict, timeout: float = 60.0) -> dict:
    device = {"id": DEVICE_ID, "collector": facts.name, "address": "127.0.0.1", "port": port}
    return {"timeout_s": timeout, "device": {**device, "tls": False, "credentials": list(logins)}}


def open_session(facts, device: RunningDevice):
    endpoint = Endpoint("127.0.0.1", device.port, use_tls=False)
    (login,) = decrypt_logins(config(facts, device.port, login_of(facts, device)), KEY)
    return load_collector(facts.name)(endpoint, login, None)


def closed(_connection: socket.socket) -> None:
    """Accepts, and closes at once."""


def silent(connection: socket.socket) -> None:
    with suppress(OSError):
        while connection.recv(4096):
            pass


def nonsense(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.recv(4096)
        connection.sendall(bytes(range(256)) * 64)


@contextmanager
def hostile(transport: str, answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Something else on the device's port."""
    if transport == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            yield server.getsockname()[1]
        return
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(300)


class TestHostileDevices:
    """A failure is a result with a reason, never an exception, a hang or a secret."""

    def session(self, facts, port: int):
        login = DecryptedLogin("monitor", CANARY, kind=facts.credentials[0].name)
        return load_collector(facts.name)(Endpoint("127.0.0.1", port, use_tls=False), login, None)

    @pytest.mark.parametrize("answer", [closed, silent, nonsense])
    def test_a_session_fails_with_a_device_error(self, facts, answer):
        with hostile(facts.transport, answer) as port:
            session = self.session(facts, port)
            with pytest.raises(DeviceFailed) as failed:
                session.poll(list(Tier), 0.5)
            session.close()

        assert failed.value.code
        assert CANARY not in str(failed.value)

    def test_nothing_on_the_port(self, facts):
        session = self.session(facts, free_port())
        with pytest.raises(DeviceFailed):
            session.poll([Tier.FAST], 0.5)
        session.abort()
        session.close()

    @pytest.mark.parametrize("answer", [closed, silent, nonsense])
    def test_a_connection_test_has_an_outcome(self, facts, answer):
        kind = facts.credentials[0]
        device = SimpleNamespace(
            kind=kind.name, username="monitor", options={}, secrets={kind.main_secret: CANARY}
        )
        with hostile(facts.transport, answer) as port:
            result = try_connection(job(facts, port, login_of(facts, device), timeout=1.0), KEY)

        assert result["outcome"] in set(TestOutcome.values) - {"ok", "unsupported"}
        assert CANARY not in json.dumps(result)

    def test_abort_ends_a_poll_in_another_thread(self, facts):
        failures = []

        def poll(session) -> None:
            try:
                session.poll([Tier.FAST], 200.0)
            except DeviceFailed as failure:
                failures.append(failure)

        waiting = threading.Event()

        def answer(connection: socket.socket) -> None:
            with suppress(OSError):
                connection.recv(4096)
                waiting.set()
                connection.recv(4096)

        if facts.transport == "udp":
            pytest.skip("a datagram protocol has no connection to abort")
        with hostile(facts.transport, answer) as port:
            session = self.session(facts, port)
            thread = threading.Thread(target=poll, args=(session,))
            thread.start()
            assert waiting.wait(300)
            session.abort()
            thread.join(150)
            is_alive = thread.is_alive()
            session.close()

        assert not is_alive
        assert len(failures) == 1
