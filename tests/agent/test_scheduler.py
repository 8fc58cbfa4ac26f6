"""Rhythm, spread and patience: what one router does never delays another."""

import threading
import time
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import WatchedDevice
from agent.normalize.changes import Changes
from agent.samples import Findings, Sample
from agent.scheduler import Scheduler, phase
from tests.agent.fake_router import MENUS, FakeRouter, device_config, wait_for
from tests.supervisor.waiting import HANG_SECONDS, eventually

KEY = X25519PrivateKey.generate()
#: Seconds, longer than any test waits.
NEVER = 10 * HANG_SECONDS


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
            seen.append(findings)

    made = Scheduler(emit, stop, sealing_key=KEY)
    made.seen = seen
    made.stop = stop
    made.start()
    yield made
    stop.set()
    made.join(HANG_SECONDS)


def config(number: int, router: FakeRouter, **fields):
    return device_config(KEY, router.port, device_id=str(UUID(int=number)), **fields)


def api_up(scheduler, number: int) -> list[float]:
    wanted = ("device.api.up", str(UUID(int=number)))
    return [
        sample.value
        for findings in list(scheduler.seen)
        for sample in findings.samples
        if (sample.metric, sample.entity_id) == wanted
    ]


def test_hanging_routers_do_not_delay_the_others(scheduler, routers):
    hanging = routers(lambda router: lambda _connection: wait_for(NEVER, router))
    good = [routers() for _ in range(4)]
    watched = [config(number, router) for number, router in enumerate(good)]
    numbers = range(100, 140)
    # Each has failed once and is suspect; from then on they hang for longer than this test may last.
    scheduler.configure([*(config(n, hanging, patience=0.6) for n in numbers), *watched])
    eventually(lambda: all(api_up(scheduler, number) for number in numbers))
    scheduler.configure([*(config(n, hanging, patience=NEVER) for n in numbers), *watched])
    before = [len(api_up(scheduler, number)) for number in range(4)]

    eventually(lambda: all(len(api_up(scheduler, n)) >= told + 5 for n, told in enumerate(before)))

    assert scheduler.errors >= len(numbers)
    assert set(api_up(scheduler, 100)) == {0.0}


def test_one_poll_at_a_time_for_each_router(scheduler, routers):
    router = routers()
    scheduler.configure([config(1, router, fast=0.05)])
    eventually(lambda: len(api_up(scheduler, 1)) >= 6)

    assert router.logins == 1


@pytest.fixture
def _no_second_try(monkeypatch) -> None:
    """Who failed is asked again only for a reason."""
    monkeypatch.setattr(WatchedDevice, "wait_after_failure", lambda _device: NEVER)


@pytest.mark.usefixtures("_no_second_try")
def test_a_router_that_is_back_is_asked_at_once(scheduler, routers):
    router = routers(lambda _router: lambda connection: connection.shutdown(2))
    scheduler.configure([config(1, router)])
    scheduler.reachable(str(UUID(int=1)), is_up=False)
    eventually(lambda: api_up(scheduler, 1) == [0.0] and not scheduler.running)
    router.hostile = None
    scheduler.reachable(str(UUID(int=1)), is_up=True)

    eventually(lambda: api_up(scheduler, 1)[:2] == [0.0, 1.0])


@pytest.mark.usefixtures("_no_second_try")
def test_a_new_password_is_tried_at_once(scheduler, routers):
    router = routers()
    scheduler.configure([config(1, router, password="wrong")])
    eventually(lambda: api_up(scheduler, 1) == [0.0] and not scheduler.running)
    scheduler.configure([config(1, router)])

    eventually(lambda: api_up(scheduler, 1)[:2] == [0.0, 1.0])


def test_a_device_that_is_gone_is_not_asked_any_more(scheduler, routers):
    router = routers()
    scheduler.configure([config(1, router)])
    eventually(lambda: router.asked)
    scheduler.configure([])
    eventually(lambda: not scheduler.running)
    before = len(router.asked)
    time.sleep(0.4)

    assert len(router.asked) == before
    assert scheduler.overview() == []


def test_stopping_wakes_a_poll_that_waits(scheduler, routers):
    router = routers(lambda made: lambda _connection: wait_for(NEVER, made))
    scheduler.configure([config(1, router, patience=NEVER)])
    # The second sentence, the first after the login, is never answered.
    eventually(lambda: len(router.asked) >= 2)
    scheduler.stop.set()

    eventually(lambda: not scheduler.running)


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
