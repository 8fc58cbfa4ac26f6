"""A real Chromium against a real server over the test database; whatever the browser complains of is a failure."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
)

from apps.accounts.models import User
from tests.chromium import CHROMIUM, UnderWay
from tests.incidents.monitored_network import MonitoredNetwork

DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PACKAGES = settings.BASE_DIR / "node_modules" / "uplot"
#: Of the software renderer, not of the page.
HARMLESS = ("GPU stall", "GL Driver Message", "swiftshader", "SwiftShader")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder needs a browser."""
    for item in items:
        if "tests/browser/" in str(item.path).replace(os.sep, "/"):
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine"))
            elif not PACKAGES.is_dir():
                item.add_marker(pytest.mark.skip(reason="npm's packages are not on this machine"))


@dataclass
class Visitor:
    """Somebody at a screen, and what their browser complained of."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)
    #: What a test brings about on purpose.
    expected: tuple[str, ...] = ()

    def go(self, path: str) -> None:
        self.page.goto(self.base + path)

    def note_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not self._is_fine(message.text):
            self.complaints.append(f"{message.type}: {message.text}")

    def note_request(self, request: Request) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.complaints.append(f"asks elsewhere: {request.url}")

    def _is_fine(self, text: str) -> bool:
        return any(word in text for word in (*HARMLESS, *self.expected))


@pytest.fixture
def visitor(
    chromium: Browser, live_server, under_way: UnderWay
) -> Iterator[Callable[..., Visitor]]:
    """Opens a window: ``visitor(user, viewport=PHONE, color_scheme="dark")``; without a user, at the gate."""
    contexts: list[BrowserContext] = []
    visitors: list[Visitor] = []

    def open_window(user: User | None = None, **options) -> Visitor:
        context = chromium.new_context(**{"viewport": DESKTOP, "locale": "en", **options})
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user)
            cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies(
                [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}]
            )
        context.set_default_timeout(20_000)
        found = Visitor(context.new_page(), live_server.url)
        found.page.on("console", found.note_console)
        found.page.on("pageerror", lambda error: found.complaints.append(f"script: {error}"))
        found.page.on("request", found.note_request)
        visitors.append(found)
        return found

    yield open_window
    for context in contexts:
        context.close()
    assert [line for one in visitors for line in one.complaints] == []


@pytest.fixture
def stage(transactional_db, acme) -> MonitoredNetwork:
    """Acme's network with an incident: a PoP cut off from the core."""
    stage = MonitoredNetwork(acme)
    stage.open_incident()
    return stage
