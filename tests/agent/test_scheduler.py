"""Rhythm, spread and patience: what one router does never delays another."""

import threading
import time
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.normalize.changes import Changes
from agent.samples import Findings, Sample
from agent.scheduler import Scheduler, phase
from tests.agent.fake_router import MENUS, FakeRouter, device_config, wait_for
from tests.supervisor.waiting import eventually

KEY = X25519PrivateKey.generate()


@pytest.fixture
def routers():
    made = []

    def make(hostile=None) -> FakeRouter:
        router = FakeRouter(dict(MENUS))
        router.hostile = hostile(router) if hostile else None
        made.append(router)
        return router

    yield make
    for router in made:
        router.close()


@pytest.fixture
def scheduler():
    stop, seen = threading.Event(), []
    guard = threading.Lock()

    def emit(findings: Findings) -> None:
        with guard:
            seen.append((time.monotonic(), findings))

    made = Scheduler(emit, stop, sealing_key=KEY)
    made.seen = seen
    made.stop = stop
    made.start()
    yield made
    stop.set()
    made.join(2)


def config(number: int, router: FakeRouter, **fields):
    return device_config(KEY, router.port, device_id=str(UUID(int=number)), **fields)


def api_up(scheduler, number: int) -> list[float]:
    wanted = ("device.api.up", str(UUID(int=number)))
    return [
        sample.value
        for _, findings in list(scheduler.seen)
        for sample in findings.samples
        if (sample.metric, sample.entity_id) == wanted
    ]


def test_hanging_routers_do_not_delay_the_others(scheduler, routers):
    hanging = routers(lambda router: lambda _connection: wait_for(5, router))
    good = [routers() for _ in range(4)]
    configs = [config(number, hanging, patience=0.6) for number in range(100, 140)]
    configs += [config(number, router) for number, router in enumerate(good)]
    scheduler.configure(configs)
    time.sleep(2.5)

    for number in range(4):
        assert len(api_up(scheduler, number)) >= 5, "0.2 s rhythm, whatever forty others do"
    assert scheduler.errors >= 8
    assert set(api_up(scheduler, 100)) <= {0.0}


def test_one_poll_at_a_time_for_each_router(scheduler, routers):
    router = routers()
    scheduler.configure([config(1, router, fast=0.05)])
    time.sleep(0.5)

    assert router.logins == 1
    assert len(api_up(scheduler, 1)) >= 6


def test_a_router_that_is_back_is_asked_at_once(scheduler, routers):
    router = routers(lambda _router: lambda connection: connection.shutdown(2))
    early = next(n for n in range(500) if phase(config(n, router)) < 0.02)
    scheduler.configure([config(early, router, fast=8.0)])
    deadline = time.monotonic() + 10
    scheduler.reachable(str(UUID(int=early)), is_up=False)
    while not api_up(scheduler, early) and time.monotonic() < deadline:
        time.sleep(0.02)
    router.hostile = None
    scheduler.reachable(str(UUID(int=early)), is_up=True)
    began = time.monotonic()
    while api_up(scheduler, early)[-1] != 1.0 and time.monotonic() < began + 3:
        time.sleep(0.02)

    assert api_up(scheduler, early)[-1] == 1.0
    assert time.monotonic() - began < 4


def test_a_new_password_is_tried_at_once(scheduler, routers):
    router = routers()
    early = next(n for n in range(500) if phase(config(n, router)) < 0.02)
    scheduler.configure([config(early, router, fast=8.0, password="wrong")])
    eventually(lambda: api_up(scheduler, early) == [0.0], seconds=3)
    eventually(lambda: scheduler.running == 0, seconds=3)
    scheduler.configure([config(early, router, fast=8.0)])
    eventually(lambda: api_up(scheduler, early) == [0.0, 1.0], seconds=4)


def test_a_device_that_is_gone_is_not_asked_any_more(scheduler, routers):
    router = routers()
    scheduler.configure([config(1, router)])
    time.sleep(0.5)
    scheduler.configure([])
    time.sleep(0.3)
    before = len(router.asked)
    time.sleep(0.4)

    assert before > 0
    assert len(router.asked) == before
    assert scheduler.overview() == []


def test_stopping_wakes_a_poll_that_waits(scheduler, routers):
    router = routers(lambda made: lambda _connection: wait_for(20, made))
    scheduler.configure([config(1, router, patience=15)])
    deadline = time.monotonic() + 3
    while not router.logins and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    scheduler.stop.set()
    began = time.monotonic()
    scheduler.join(2)
    while scheduler.running and time.monotonic() - began < 3:
        time.sleep(0.01)

    assert scheduler.running == 0


def test_the_phase_follows_from_the_id_and_spreads(routers):
    router = routers()
    phases = [phase(config(number, router)) for number in range(100)]

    assert phases == [phase(config(number, router)) for number in range(100)]
    assert all(0 <= share < 1 for share in phases)
    assert len({int(share * 10) for share in phases}) == 10


def sample(metric: str, value: float | str, entity: str = "e") -> Sample:
    return Sample(1.0, metric, entity, value, "probe")


def test_events_are_of_changes_and_the_first_look_is_none():
    changes = Changes()
    up = Findings((sample("bgp.peer.up", 1.0), sample("bgp.peer.state", "established")))
    down = Findings((sample("bgp.peer.up", 0.0), sample("bgp.peer.state", "down")))

    assert changes.of(up) == ()
    assert changes.of(up) == ()
    (event,) = changes.of(down)
    assert event.event_type == "bgp.peer.state.changed"
    assert event.payload == {"old": "up", "new": "down", "state": "down"}


def test_an_uptime_that_went_back_is_a_reboot():
    changes = Changes()
    assert changes.of(Findings((sample("device.uptime_seconds", 500.0),))) == ()
    (event,) = changes.of(Findings((sample("device.uptime_seconds", 499.0),)))

    assert (event.event_type, event.item()["severity"]) == ("device.rebooted", "warn")


def test_another_version_is_an_event():
    changes = Changes()
    first = Findings(
        (sample("device.up", 1.0),), patch={"devices": [{"id": "e", "version": "7.1"}]}
    )
    later = Findings(
        (sample("device.up", 1.0),), patch={"devices": [{"id": "e", "version": "7.2"}]}
    )

    assert changes.of(first) == ()
    assert [event.payload for event in changes.of(later)] == [{"old": "7.1", "new": "7.2"}]
