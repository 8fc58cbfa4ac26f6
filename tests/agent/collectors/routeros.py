"""A RouterOS device for the tests of all collectors."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.agent.collectors.running import RunningDevice
from tests.agent.fake_router import MENUS, PASSWORD, FakeRouter


@contextmanager
def running_device() -> Iterator[RunningDevice]:
    router = FakeRouter(dict(MENUS))
    try:
        yield RunningDevice(router.port, "routeros_api", {"password": PASSWORD}, "monitor")
    finally:
        router.close()
