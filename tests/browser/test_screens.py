"""Every screen in light and dark, on a phone, from right to left: readable by the rules of axe, and silent."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.template.loader import get_template
from django.utils import translation
from playwright.sync_api import Page, Route, expect

from apps.core import clock
from apps.telemetry import store
from apps.telemetry.store import Sample, SeriesKey
from apps.tenancy import acting_in
from tests.browser.conftest import PHONE
from tests.console.test_maintenance_pages import open_window

AXE = settings.BASE_DIR / "node_modules" / "axe-core" / "axe.min.js"
THUMB = 44
SERIOUS = {"serious", "critical"}
SCREENS = (
    *("/", "/incidents/", "/incidents/?status=all", "/devices/", "/sites/", "/alerts/"),
    *("/agents/", "/webhooks/", "/search/?q=r", "/map/", "/topology/", "/topology/?collapse=1"),
    *("/maintenance/", "{plan}", "{plan-of-incident}", "{end-window}", "/maintenance/?state=all"),
    *("/?kiosk=1", "{incident}", "{device}", "{site}", "{topology-of-incident}"),
)
ADMINS = (
    *("/agents/new/", "{enroll}", "/account/"),
    *("/admin/", "/admin/inventory/", "/admin/inventory/device/", "/admin/inventory/site/add/"),
    *("{admin-device}", "/admin/audit/record/", "/admin/incidents/incident/"),
)
#: What stands without a session, or without a database.
FAULTS = ("400.html", "403.html", "403_csrf.html", "500.html", "503.html")
LOOKS = pytest.mark.parametrize(
    "look",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark", "locale": "ar"},
        {"color_scheme": "dark", "viewport": PHONE},
    ],
    ids=["light", "dark-arabic", "dark-phone"],
)


def address(screen: str, stage) -> str:
    """The path that a name in braces stands for."""
    incident = stage.incidents()[0]
    if screen == "{end-window}":
        return f"/maintenance/{open_window(stage.tenant, device_ids=[stage.devices['cr2'].id]).id}/end/"
    return {
        "{incident}": f"/incidents/{incident.id}/",
        "{device}": f"/devices/{stage.devices['cr2'].id}/?range=1h",
        "{site}": f"/sites/{stage.devices['agg1'].site_id}/",
        "{enroll}": f"/agents/{stage.agent.id}/enroll/",
        "{admin-device}": f"/admin/inventory/device/{stage.devices['cr2'].id}/change/",
        "{plan}": "/maintenance/new/",
        "{plan-of-incident}": f"/maintenance/new/?incident={incident.id}",
        "{topology-of-incident}": f"/topology/?incident={incident.id}",
    }.get(screen, screen)


def serious_faults(page: Page) -> list[str]:
    """What axe finds, each with the first element that has it."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    # Preloading writes inline styles where a style sheet imports another, which the policy refuses.
    found = page.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")
    return [
        f"{page.url} {fault['id']}: {fault['nodes'][0]['html'][:160]}"
        for fault in found["violations"]
        if fault["impact"] in SERIOUS
    ]


def show(page: Page, name: str, body: str) -> None:
    """Have an address answered with a page that needs no server."""

    def answer(route: Route) -> None:
        route.fulfill(content_type="text/html; charset=utf-8", body=body)

    page.route(f"**/{name}", answer)


def too_wide(page: Page) -> list[str]:
    """Whether a page must be dragged sideways; asked of every size, it shows on phones."""
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [f"{page.url} is {wide} px too wide"] if wide > 0 else []


needs_packages = pytest.mark.skipif(
    not AXE.exists(), reason="the front-end packages are not installed; run.py setup says why"
)


@needs_packages
@LOOKS
def test_every_screen_is_accessible_and_silent(visitor, stage, acme_noc, acme_admin, look):
    faults = []
    for user, screens in ((acme_noc, SCREENS), (acme_admin, ADMINS)):
        window = visitor(user, **look)
        for screen in screens:
            window.go(address(screen, stage))
            faults += serious_faults(window.page) + too_wide(window.page)

    assert faults == []


@needs_packages
@LOOKS
def test_the_gate_and_the_pages_of_faults_are_accessible_too(visitor, stage, look):
    window = visitor(**look)
    window.expected = ("404",)
    faults = []
    for path in ("/sign-in/", "/sign-in/reset/", "/there-is-no-such-page/"):
        window.go(path)
        faults += serious_faults(window.page) + too_wide(window.page)
    for name in FAULTS:
        with translation.override(look.get("locale", "en")):
            body = get_template(name).render({"request_id": "f" * 32})
        show(window.page, name, body)
        window.go(f"/{name}")
        faults += serious_faults(window.page) + too_wide(window.page)

    assert faults == []


def test_the_admin_can_be_left_on_a_phone(visitor, stage, acme_admin):
    window = visitor(acme_admin, viewport=PHONE, has_touch=True, is_mobile=True)
    window.go("/admin/")
    button = window.page.get_by_role("button", name="Sign out")
    box = button.bounding_box()

    button.tap()

    window.page.wait_for_url("**/sign-in/**")
    assert box["x"] + box["width"] <= PHONE["width"]
    assert box["height"] >= THUMB


def test_no_field_of_the_admin_is_wider_than_a_phone(visitor, stage, acme_admin):
    window = visitor(acme_admin, viewport=PHONE)
    window.go(address("{admin-device}", stage))
    beyond = """els => els.map(e => e.getBoundingClientRect()).filter(r => r.width && r.right > innerWidth).length"""

    assert window.page.locator("#content :is(input, select, textarea)").evaluate_all(beyond) == 0


@needs_packages
def test_an_incident_is_drawn(visitor, stage, acme_noc):
    window = visitor(acme_noc)
    window.go(address("{incident}", stage))
    page = window.page

    expect(page.locator("#incident-chart canvas").first).to_be_visible()
    expect(page.locator("#incident-graph canvas").first).to_be_visible()
    expect(page.locator("#incident-chart [data-read]")).to_contain_text("routers that answer")


@needs_packages
def test_a_drawing_outlives_the_refresh_of_what_is_around_it(visitor, stage, acme_noc):
    window = visitor(acme_noc)
    window.go(address("{incident}", stage))
    page = window.page
    expect(page.locator("#incident-chart canvas").first).to_be_visible()
    page.evaluate("document.querySelector('#incident-chart canvas').dataset.first = '1'")

    page.evaluate(
        "htmx.ajax('GET', location.pathname, {target: '#incident', swap: 'outerHTML'})"
    )  # a promise: settled when the part is swapped in

    expect(page.locator("#incident-chart canvas[data-first]")).to_have_count(1)


@needs_packages
def test_dragging_over_a_chart_zooms_the_address(visitor, stage, acme_noc):
    device = stage.devices["cr2"]
    read_processor(stage, device)
    window = visitor(acme_noc)
    window.go(f"/devices/{device.id}/?range=1h&chart=load:{device.id}")
    page = window.page
    area = page.locator("#device-chart .u-over").bounding_box()
    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + 20)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.9, area["y"] + 20, steps=4)
    page.mouse.up()

    page.wait_for_url(re.compile("from=.*to="))
    expect(page.locator("#device-chart canvas").first).to_be_visible()


def read_processor(stage, device) -> None:
    """A reading a minute over the last hour, but for ten minutes in which nobody could see it."""
    now = clock.now()
    moments = [now - timedelta(minutes=m) for m in range(60) if not 20 <= m < 30]
    key = SeriesKey("device", device.id, "device.cpu_pct")
    with acting_in(stage.tenant):
        store.write_batch(
            samples=[Sample(key, at, 20.0 + at.minute % 7) for at in moments], received_at=now
        )


def test_the_language_turns_and_stays(visitor, stage, acme_noc):
    window = visitor(acme_noc)
    window.go("/devices/")
    page = window.page
    page.locator(".user-menu [data-menu] summary").click()
    page.get_by_label("Language", exact=True).select_option("ar")

    page.wait_for_function("document.documentElement.dir === 'rtl'")
    window.go("/")
    assert page.evaluate("document.documentElement.lang") == "ar"
    nav = page.locator(".nav").bounding_box()
    assert nav["x"] > 700


def test_the_clock_turns_to_the_readers_own(visitor, stage, acme_noc):
    window = visitor(acme_noc, timezone_id="Asia/Tokyo")
    window.go(address("{incident}", stage))
    page = window.page
    moment = page.locator(".facts time bdi")
    utc = moment.inner_text()

    page.get_by_role("button", name="Local").click()

    assert (int(moment.inner_text()[:2]) - int(utc[:2])) % 24 == 9
