"""Routers that hang, drip, lie or break off: each costs one bounded time, one sample and one event."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import WatchedDevice
from agent.collectors.routeros import session, transport
from agent.protocol.registry import Tier
from tests.agent.fake_router import DEVICE_ID, MENUS, FakeRouter, device_config, encode, wait_for
from tests.supervisor.waiting import HANG_SECONDS

KEY = X25519PrivateKey.generate()
PATIENCE = 0.25
#: Seconds, longer than any test waits.
NEVER = 10 * HANG_SECONDS


@pytest.fixture
def router():
    made = FakeRouter(dict(MENUS))
    yield made
    made.close()


@pytest.fixture
def device(router):
    """Waits for the router as long as a busy machine may need."""
    made = WatchedDevice(device_config(KEY, router.port, patience=HANG_SECONDS), KEY, "")
    yield made
    made.close()


@pytest.fixture
def impatient(router):
    made = WatchedDevice(device_config(KEY, router.port, patience=PATIENCE), KEY, "")
    yield made
    made.close()


def endless(piece: bytes):
    def send(connection):
        while True:
            connection.sendall(piece)

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
def test_costs_one_bounded_time_and_is_told_once(attack, impatient, router):
    router.hostile = ATTACKS[attack](router)
    # An attack that hangs or drips does so for longer than a test may last.
    findings = [impatient.poll([Tier.FAST]) for _ in range(3)]

    said = [
        (sample.metric, sample.entity_id, sample.value) for f in findings for sample in f.samples
    ]
    events = [(event.event_type, event.payload["state"]) for f in findings for event in f.events]
    assert said == [("device.api.up", DEVICE_ID, 0.0)] * 3
    assert events == [("monitoring.degraded", "open")]
    assert router.logins == 3, "a connection in doubt is never used again"

    router.hostile = None
    impatient.take_over(device_config(KEY, router.port, patience=HANG_SECONDS))
    well = impatient.poll([Tier.FAST])
    assert [event.payload["state"] for event in well.events] == ["closed"]
    assert well.events[0].severity == "info"
    assert len(well.samples) > 10


def test_an_answer_over_the_cap_ends_the_poll(device, router, monkeypatch):
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 10_000)
    router.hostile = endless(encode(["!re", "=name=x", ".tag=2"]))

    device.poll([Tier.FAST])

    assert device.said == "The router's answer is too large."


def test_rows_over_the_cap_end_the_poll(device, router, monkeypatch):
    monkeypatch.setattr(session, "MAX_ROWS", 50)
    router.hostile = endless(encode(["!re", "=name=x", ".tag=2"]))

    device.poll([Tier.FAST])

    assert device.said == "The router sent too many rows."


def test_a_port_that_nobody_listens_on(router):
    router.close()
    device = WatchedDevice(device_config(KEY, router.port), KEY, "")

    assert [sample.value for sample in device.poll([Tier.FAST]).samples] == [0.0]


def test_a_router_that_accepts_and_says_nothing(impatient, router):
    router.on_connect = lambda _connection: wait_for(NEVER, router)
    impatient.poll([Tier.FAST])

    assert impatient.said == "The router did not answer in time."


def test_traps_without_a_message_and_texts_of_any_charset(device, router):
    router.menus["/routing/ospf/neighbor/print"] = [["!trap"], ["!done"]]
    router.menus["/interface/print"] = [["!re", "=name=\udcfcber\x00"], ["!done"]]
    findings = device.poll([Tier.FAST])

    assert [item["name"] for item in findings.patch["interfaces"]] == ["über"]


def test_an_empty_list_that_says_so(device, router):
    router.menus["/routing/ospf/neighbor/print"] = [["!empty"], ["!done"]]

    assert device.poll([Tier.FAST]).samples[0].value == 1.0
