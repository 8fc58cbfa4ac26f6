"""A config that names a collector which this agent does not have, as a newer server may send."""

import threading
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import MonitoredDevice
from agent.diagnostics.connection import try_connection
from agent.protocol.registry import Tier
from agent.samples import PollResult
from agent.scheduler import Scheduler
from tests.agent.fake_router import DEVICE_ID, MENUS, FakeRouter, device_config
from tests.supervisor.waiting import eventually

KEY = X25519PrivateKey.generate()
MESSAGE = "This agent has no collector 'quokka_os': upgrade the agent."


@pytest.fixture
def router():
    instance = FakeRouter(dict(MENUS))
    yield instance
    instance.close()


def config(router: FakeRouter, collector: str | None = "quokka_os", **fields) -> Any:
    named = {} if collector is None else {"collector": collector}
    return {**device_config(KEY, router.port, command_timeout=60.0, **fields), **named}


class TestPolling:
    def test_it_is_one_clear_event_and_no_statement_about_the_device(self, router):
        device = MonitoredDevice(config(router), KEY, "127.0.0.1")
        first, second = device.poll(list(Tier)), device.poll(list(Tier))

        (event,) = first.events
        assert (event.event_type, event.payload["state"]) == ("monitoring.degraded", "open")
        assert (event.payload["code"], event.payload["reason"]) == ("collector_missing", MESSAGE)
        assert second.events == ()
        assert first.samples == second.samples == (), "the device was not polled: it is not down"
        assert device.message == MESSAGE
        assert router.peers == [], "no login is sent by another protocol"

    def test_it_comes_before_a_held_or_missing_login(self, router):
        held: Any = {**config(router), "login_held": True}
        missing: Any = {**config(router), "credential": None, "credentials": []}
        for changed in (held, missing):
            device = MonitoredDevice(changed, KEY, "127.0.0.1")

            assert device.poll([Tier.FAST]).events[0].payload["code"] == "collector_missing"

    def test_a_long_name_does_not_grow_the_message(self, router):
        device = MonitoredDevice(config(router, "x" * 10_000), KEY, "127.0.0.1")
        device.poll([Tier.FAST])

        assert len(device.message) < 100

    def test_the_device_recovers_when_its_collector_is_corrected(self, router):
        device = MonitoredDevice(config(router), KEY, "127.0.0.1")
        device.poll([Tier.FAST])
        device.update_config(config(router, "routeros"))
        result = device.poll([Tier.FAST])
        device.close()

        states = [(event.payload["state"], event.payload["code"]) for event in result.events]
        assert states == [("closed", "")]
        assert device.message == "ok"

    def test_a_session_ends_when_the_collector_changes(self, router):
        device = MonitoredDevice(config(router, "routeros"), KEY, "127.0.0.1")
        device.poll([Tier.FAST])
        device.update_config(config(router))
        result = device.poll([Tier.FAST])

        assert result.events[0].payload["code"] == "collector_missing"
        assert router.logins == 1

    def test_a_device_without_the_field_is_routeros(self, router):
        device = MonitoredDevice(config(router, None), KEY, "127.0.0.1")
        device.poll([Tier.FAST])
        device.update_config(config(router, "routeros"))
        result = device.poll([Tier.FAST])
        device.close()

        assert {sample.source for sample in result.samples} == {"routeros_api"}
        assert router.logins == 1, "naming the default is no change"


def test_the_other_devices_of_a_fleet_are_polled(router):
    results: list[PollResult] = []
    stop = threading.Event()
    scheduler = Scheduler(results.append, stop, sealing_key=KEY)
    ids = [str(UUID(int=number)) for number in (1, 2, 3)]
    scheduler.start()
    try:
        scheduler.configure(
            [
                config(router, collector, device_id=device_id, fast=0.2)
                for collector, device_id in zip(("routeros", "quokka_os", None), ids, strict=True)
            ]
        )
        eventually(
            lambda: (
                {ids[0], ids[2]} <= api_up(results)
                and len(scheduler.overview()) == 3
                and sum(row["message"] == MESSAGE for row in scheduler.overview()) == 1
            )
        )
    finally:
        stop.set()
        scheduler.join(60)

    assert ids[1] not in api_up(results)
    assert not scheduler.is_alive()


def api_up(results: list[PollResult]) -> set[str]:
    samples = [sample for result in results for sample in result.samples]
    return {row.entity_id for row in samples if row.metric == "device.api.up" and row.value == 1.0}


def test_a_connection_test_says_so(router):
    device: Any = {"id": DEVICE_ID, "collector": "quokka_os", "address": "127.0.0.1"}
    device |= {"port": router.port, "tls": False, "credentials": []}

    assert try_connection({"timeout_s": 5, "device": device}, KEY) == {
        "outcome": "unsupported",
        "detail": MESSAGE,
    }
