"""One real Chromium for all tests of a process: Playwright cannot be started twice in one thread."""

import os
import shutil
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.core.signals import request_finished, request_started

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"),
    *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
)


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    # Playwright's event loop runs in this thread, which Django would treat as an asynchronous context.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


class UnderWay:
    """Requests in progress: a closed window does not wait for its last ones."""

    PATIENCE = 20.0  # seconds

    def __init__(self) -> None:
        self._number = 0
        self._changed = threading.Condition()

    def begin(self, **_signal) -> None:
        with self._changed:
            self._number += 1

    def end(self, **_signal) -> None:
        with self._changed:
            self._number -= 1
            self._changed.notify_all()

    def wait_for_none(self) -> None:
        """Emptying the tables under a running query would be a deadlock."""
        with self._changed:
            is_quiet = self._changed.wait_for(lambda: self._number <= 0, self.PATIENCE)
        assert is_quiet, f"{self._number} requests still run"


@pytest.fixture
def under_way(live_server) -> Iterator[UnderWay]:
    counted = UnderWay()
    request_started.connect(counted.begin)
    request_finished.connect(counted.end)
    yield counted
    counted.wait_for_none()
    request_started.disconnect(counted.begin)
    request_finished.disconnect(counted.end)
