"""Routers that hang, respond slowly, send garbage or disconnect: each costs a bounded time, one sample, one event."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import MonitoredDevice
from agent.collectors.routeros import session, transport
from agent.protocol.registry import Tier
from tests.agent.fake_router import DEVICE_ID, MENUS, FakeRouter, device_config, encode, wait_for
from tests.supervisor.waiting import HANG_SECONDS

KEY = X25519PrivateKey.generate()
COMMAND_TIMEOUT = 0.25
#: Seconds, longer than any test waits.
NEVER = 10 * HANG_SECONDS


@pytest.fixture
def router():
    instance = FakeRouter(dict(MENUS))
    yield instance
    instance.close()


@pytest.fixture
def device(router):
    """With a command timeout that suffices on a busy machine."""
    instance = MonitoredDevice(
        device_config(KEY, router.port, command_timeout=HANG_SECONDS), KEY, ""
    )
    yield instance
    instance.close()


@pytest.fixture
def short_timeout_device(router):
    instance = MonitoredDevice(
        device_config(KEY, router.port, command_timeout=COMMAND_TIMEOUT), KEY, ""
    )
    yield instance
    instance.close()


def endless(chunk: bytes):
    def send(connection):
        while True:
            connection.sendall(chunk)

    return send


def drip(router):
    def send(connection):
        connection.sendall(b"\x7f")
        while not router.stop.wait(0.02):
            connection.sendall(b"x")

    return send


ATTACKS = {
    "hangs": lambda router: lambda _connection: wait_for(NEVER, router),
    "drips": drip,
    "closes": lambda _router: lambda connection: connection.shutdown(2),
    "garbage": lambda _router: lambda connection: connection.sendall(b"\x05hello\x00"),
    "control byte": lambda _router: lambda connection: connection.sendall(b"\xff" * 64),
    "huge word": lambda _router: lambda connection: connection.sendall(b"\xf0\xff\xff\xff\xff"),
    "fatal": lambda _router: (
        lambda connection: connection.sendall(encode(["!fatal", "session terminated on request"]))
    ),
    "other tag": lambda _router: (
        lambda connection: connection.sendall(encode(["!done", ".tag=999"]))
    ),
    "no tag": lambda _router: lambda connection: connection.sendall(encode(["!done"])),
    "no sentence end": lambda _router: endless(b"\x02ab" * 100),
    "empty sentences": lambda _router: endless(b"\x00" * 1000),
    "malformed attribute": lambda _router: (
        lambda connection: connection.sendall(encode(["!re", "what is this"]))
    ),
    "bad key": lambda _router: lambda connection: connection.sendall(b"\x03!re\x04=\xff\xfe=\x00"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_costs_a_bounded_time_and_is_reported_once(attack, short_timeout_device, router):
    router.hostile = ATTACKS[attack](router)
    # An attack that hangs or sends slowly lasts longer than a test may.
    results = [short_timeout_device.poll([Tier.FAST]) for _ in range(3)]

    samples = [
        (sample.metric, sample.entity_id, sample.value)
        for result in results
        for sample in result.samples
    ]
    events = [
        (event.event_type, event.payload["state"]) for result in results for event in result.events
    ]
    assert samples == [("device.api.up", DEVICE_ID, 0.0)] * 3
    assert events == [("monitoring.degraded", "open")]
    assert router.logins == 3, "a connection with a protocol error is never reused"

    router.hostile = None
    short_timeout_device.update_config(
        device_config(KEY, router.port, command_timeout=HANG_SECONDS)
    )
    success = short_timeout_device.poll([Tier.FAST])
    assert [event.payload["state"] for event in success.events] == ["closed"]
    assert success.events[0].severity == "info"
    assert len(success.samples) > 10


def test_a_reply_over_the_limit_ends_the_poll(device, router, monkeypatch):
    monkeypatch.setattr(transport, "MAX_REPLY_BYTES", 10_000)
    router.hostile = endless(encode(["!re", "=name=x", ".tag=2"]))

    device.poll([Tier.FAST])

    assert device.message == "The router's reply is too large."


def test_rows_over_the_limit_end_the_poll(device, router, monkeypatch):
    monkeypatch.setattr(session, "MAX_ROWS", 50)
    router.hostile = endless(encode(["!re", "=name=x", ".tag=2"]))

    device.poll([Tier.FAST])

    assert device.message == "The router sent too many rows."


def test_a_port_that_nobody_listens_on(router):
    router.close()
    device = MonitoredDevice(device_config(KEY, router.port), KEY, "")

    assert [sample.value for sample in device.poll([Tier.FAST]).samples] == [0.0]


def test_a_router_that_accepts_and_never_responds(short_timeout_device, router):
    router.on_connect = lambda _connection: wait_for(NEVER, router)
    short_timeout_device.poll([Tier.FAST])

    assert short_timeout_device.message == "The router did not answer in time."


def test_traps_without_a_message_and_texts_of_any_charset(device, router):
    router.menus["/routing/ospf/neighbor/print"] = [["!trap"], ["!done"]]
    router.menus["/interface/print"] = [["!re", "=name=\udcfcber\x00"], ["!done"]]
    result = device.poll([Tier.FAST])

    assert [item["name"] for item in result.patch["interfaces"]] == ["über"]


def test_an_empty_list_with_an_empty_sentence(device, router):
    router.menus["/routing/ospf/neighbor/print"] = [["!empty"], ["!done"]]

    assert device.poll([Tier.FAST]).samples[0].value == 1.0
