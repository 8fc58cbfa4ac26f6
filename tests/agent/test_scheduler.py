"""Scheduling of polls: intervals, spread and timeouts; no router delays another."""

import threading
import time
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import MonitoredDevice
from agent.normalize.changes import ChangeDetector
from agent.samples import PollResult, Sample
from agent.scheduler import Scheduler, phase
from tests.agent.fake_router import MENUS, FakeRouter, device_config, wait_for
from tests.supervisor.waiting import HANG_SECONDS, eventually

KEY = X25519PrivateKey.generate()
#: Seconds, longer than any test waits.
NEVER = 10 * HANG_SECONDS


@pytest.fixture
def routers():
    created = []

    def make(hostile=None) -> FakeRouter:
        router = FakeRouter(dict(MENUS))
        router.hostile = hostile(router) if hostile else None
        created.append(router)
        return router

    yield make
    for router in created:
        router.close()


@pytest.fixture
def scheduler():
    stop, results = threading.Event(), []
    lock = threading.Lock()

    def emit(result: PollResult) -> None:
        with lock:
            results.append(result)

    instance = Scheduler(emit, stop, sealing_key=KEY)
    instance.results = results
    instance.stop = stop
    instance.start()
    yield instance
    stop.set()
    instance.join(HANG_SECONDS)


def config(number: int, router: FakeRouter, **fields):
    return device_config(KEY, router.port, device_id=str(UUID(int=number)), **fields)


def api_up(scheduler, number: int) -> list[float]:
    wanted = ("device.api.up", str(UUID(int=number)))
    return [
        sample.value
        for result in list(scheduler.results)
        for sample in result.samples
        if (sample.metric, sample.entity_id) == wanted
    ]


def test_hanging_routers_do_not_delay_the_others(scheduler, routers):
    hanging = routers(lambda router: lambda _connection: wait_for(NEVER, router))
    good = [routers() for _ in range(4)]
    healthy = [config(number, router) for number, router in enumerate(good)]
    numbers = range(100, 140)
    # Each has failed once and uses the pool of failing devices; from then on they hang longer than this test may last.
    scheduler.configure([*(config(n, hanging, command_timeout=0.6) for n in numbers), *healthy])
    eventually(lambda: all(api_up(scheduler, number) for number in numbers))
    scheduler.configure([*(config(n, hanging, command_timeout=NEVER) for n in numbers), *healthy])
    before = [len(api_up(scheduler, number)) for number in range(4)]

    eventually(
        lambda: all(len(api_up(scheduler, n)) >= count + 5 for n, count in enumerate(before))
    )

    assert scheduler.error_count >= len(numbers)
    assert set(api_up(scheduler, 100)) == {0.0}


def test_one_poll_at_a_time_for_each_router(scheduler, routers):
    router = routers()
    scheduler.configure([config(1, router, fast=0.05)])
    eventually(lambda: len(api_up(scheduler, 1)) >= 6)

    assert router.logins == 1


@pytest.fixture
def _no_retry(monkeypatch) -> None:
    """A failed device is polled again only for a reason."""
    monkeypatch.setattr(MonitoredDevice, "retry_delay", lambda _device: NEVER)


@pytest.mark.usefixtures("_no_retry")
def test_a_router_that_is_reachable_again_is_polled_at_once(scheduler, routers):
    router = routers(lambda _router: lambda connection: connection.shutdown(2))
    scheduler.configure([config(1, router)])
    scheduler.set_reachable(str(UUID(int=1)), is_up=False)
    eventually(lambda: api_up(scheduler, 1) == [0.0] and not scheduler.running_count)
    router.hostile = None
    scheduler.set_reachable(str(UUID(int=1)), is_up=True)

    eventually(lambda: api_up(scheduler, 1)[:2] == [0.0, 1.0])


@pytest.mark.usefixtures("_no_retry")
def test_a_new_password_is_tried_at_once(scheduler, routers):
    router = routers()
    scheduler.configure([config(1, router, password="wrong")])
    eventually(lambda: api_up(scheduler, 1) == [0.0] and not scheduler.running_count)
    scheduler.configure([config(1, router)])

    eventually(lambda: api_up(scheduler, 1)[:2] == [0.0, 1.0])


def test_a_removed_device_is_no_longer_polled(scheduler, routers):
    router = routers()
    scheduler.configure([config(1, router)])
    eventually(lambda: router.commands)
    scheduler.configure([])
    eventually(lambda: not scheduler.running_count)
    before = len(router.commands)
    time.sleep(0.4)

    assert len(router.commands) == before
    assert scheduler.overview() == []


def test_stopping_aborts_a_poll_that_waits(scheduler, routers):
    router = routers(lambda fake: lambda _connection: wait_for(NEVER, fake))
    scheduler.configure([config(1, router, command_timeout=NEVER)])
    # The second sentence, the first after the login, is never answered.
    eventually(lambda: len(router.commands) >= 2)
    scheduler.stop.set()

    eventually(lambda: not scheduler.running_count)


def test_the_phase_is_derived_from_the_id_and_spreads(routers):
    router = routers()
    phases = [phase(config(number, router)) for number in range(100)]

    assert phases == [phase(config(number, router)) for number in range(100)]
    assert all(0 <= share < 1 for share in phases)
    assert len({int(share * 10) for share in phases}) == 10


def sample(metric: str, value: float | str, entity: str = "e") -> Sample:
    return Sample(1.0, metric, entity, value, "probe")


def test_events_are_created_for_changes_and_not_for_first_values():
    detector = ChangeDetector()
    up = PollResult((sample("bgp.peer.up", 1.0), sample("bgp.peer.state", "established")))
    down = PollResult((sample("bgp.peer.up", 0.0), sample("bgp.peer.state", "down")))

    assert detector.detect(up) == ()
    assert detector.detect(up) == ()
    (event,) = detector.detect(down)
    assert event.event_type == "bgp.peer.state.changed"
    assert event.payload == {"old": "up", "new": "down", "state": "down"}


def test_an_uptime_that_went_back_is_a_reboot():
    detector = ChangeDetector()
    assert detector.detect(PollResult((sample("device.uptime_seconds", 500.0),))) == ()
    (event,) = detector.detect(PollResult((sample("device.uptime_seconds", 499.0),)))

    assert (event.event_type, event.item()["severity"]) == ("device.rebooted", "warn")


def test_another_version_is_an_event():
    detector = ChangeDetector()
    first = PollResult(
        (sample("device.up", 1.0),), patch={"devices": [{"id": "e", "version": "7.1"}]}
    )
    later = PollResult(
        (sample("device.up", 1.0),), patch={"devices": [{"id": "e", "version": "7.2"}]}
    )

    assert detector.detect(first) == ()
    assert [event.payload for event in detector.detect(later)] == [{"old": "7.1", "new": "7.2"}]
