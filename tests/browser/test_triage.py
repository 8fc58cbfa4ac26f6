"""What an operator does with an incident: by keyboard at a desk, by thumb on the way."""

import re
from datetime import timedelta

from playwright.sync_api import expect

from apps.core import clock
from apps.incidents.models import TimelineEntry
from apps.maintenance.models import MaintenanceWindow
from apps.tenancy import acting_in
from tests.browser.conftest import PHONE
from tests.conftest import PASSWORD

THUMB = 44


def test_an_incident_is_triaged_by_keyboard_alone(visitor, stage, acme_noc):
    window = visitor()
    # The browser tells of the gate's 401 and the like itself; none is expected here.
    page = window.page
    window.go("/")
    page.get_by_label(re.compile("e-?mail", re.IGNORECASE)).first.focus()
    page.keyboard.type(acme_noc.email)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="1 open incident")).to_be_visible()

    page.keyboard.press("g")
    page.keyboard.press("i")
    page.wait_for_url("**/incidents/")
    page.keyboard.press("j")
    expect(page.locator("[data-row].is-selected")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/incidents/[0-9a-f-]{36}/$"))
    page.keyboard.press("a")
    expect(page.locator(".facts")).to_contain_text(f"acknowledged by {acme_noc.label}")
    page.keyboard.press("n")
    expect(page.locator("#note")).to_be_focused()
    page.keyboard.type("Fibre crew called")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.locator(".timeline").get_by_text("Fibre crew called")).to_be_visible()
    with acting_in(stage.tenant):
        incident = stage.incidents()[0]
        assert incident.acked_by == acme_noc.label
        assert TimelineEntry.objects.filter(incident=incident, kind="note").count() == 1


def test_letters_typed_into_a_field_do_nothing_else(visitor, stage, acme_noc):
    window = visitor(acme_noc)
    window.go("/incidents/")
    page = window.page
    page.keyboard.press("/")
    page.keyboard.type("agg1")

    expect(page.locator("#search-results a").filter(has_text="agg1").first).to_be_visible()
    assert page.url.endswith("/incidents/")
    assert not stage.incidents()[0].acked_by
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/(devices|incidents)/[0-9a-f-]{36}/$"))


def test_on_a_phone_two_taps_acknowledge(visitor, stage, acme_noc):
    window = visitor(acme_noc, viewport=PHONE, has_touch=True, is_mobile=True)
    window.go("/")
    page = window.page

    page.locator(".incident-list .row-title a").first.tap()
    button = page.locator(".action-bar").get_by_role("button", name="Acknowledge")
    box = button.bounding_box()
    button.tap()

    page.wait_for_load_state()
    expect(page.locator(".action-bar")).to_have_count(0)
    assert stage.incidents()[0].acked_by == acme_noc.label
    assert box["height"] >= THUMB
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_objects_of_other_tenants_are_404(visitor, stage, globex_noc):
    window = visitor(globex_noc)
    window.expected = ("404",)
    incident = stage.incidents()[0]

    window.go(f"/incidents/{incident.id}/")

    expect(window.page.get_by_role("heading", name="Not found")).to_be_visible()
    assert "agg1" not in window.page.content()


def test_a_screen_that_the_server_no_longer_feeds_says_so(visitor, stage, acme_noc):
    window = visitor(acme_noc)
    window.expected = ("ERR_FAILED", "htmx:")
    window.page.clock.install()
    window.go("/")
    expect(window.page.locator("[data-stale]")).to_be_hidden()
    window.page.route("**/*", lambda route: route.abort())

    window.page.clock.run_for(25_000)

    expect(window.page.locator("[data-stale]")).to_be_visible()


def test_the_chosen_are_acknowledged_together(visitor, stage, acme_noc):
    window = visitor(acme_noc)
    window.go("/incidents/")
    page = window.page
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("[data-bulk-count]")).to_have_text("1")

    page.get_by_role("button", name="Acknowledge selected").click()

    expect(page.get_by_role("button", name="Acknowledge", exact=True)).to_have_count(0)
    assert stage.incidents()[0].acked_by == acme_noc.label


def test_maintenance_is_planned_by_keyboard_from_an_incident(visitor, stage, acme_noc):
    window = visitor(acme_noc)
    window.go("/incidents/")
    page = window.page
    page.keyboard.press("j")
    page.keyboard.press("m")
    page.wait_for_url(re.compile(r"/maintenance/new/\?incident="))
    expect(page.locator("#preview")).to_contain_text(
        "1 open incident whose notifications are suppressed"
    )
    expect(page.get_by_label("Title", exact=True)).to_be_focused()
    page.keyboard.type("Splicing the backhaul")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Plan maintenance")).to_be_focused()
    page.keyboard.press("Enter")

    page.wait_for_url("**/maintenance/")
    expect(page.get_by_role("row").filter(has_text="Splicing the backhaul")).to_contain_text("cr2")
    with acting_in(stage.tenant):
        planned = MaintenanceWindow.objects.get()
        assert planned.device_ids == [stage.devices["cr2"].id]


def test_the_form_follows_what_is_chosen_and_the_readers_clock(visitor, stage, acme_noc):
    window = visitor(acme_noc, timezone_id="Asia/Tokyo")
    window.go("/maintenance/")
    page = window.page
    page.keyboard.press("m")
    page.wait_for_url("**/maintenance/new/")
    page.get_by_label("Name of a site or a device").fill("agg1")
    page.get_by_role("checkbox", name="agg1").check()
    expect(page.locator("#preview")).to_contain_text("1 device: agg1")
    page.get_by_role("button", name="Local").click()
    expect(page.locator("[data-zone]")).to_have_text("Times are in your local time zone.")
    page.get_by_label("Title", exact=True).fill("New antenna")
    tomorrow = clock.now().date() + timedelta(days=1)
    page.get_by_label("Start").fill(f"{tomorrow}T09:30")

    page.get_by_role("button", name="Plan maintenance").click()

    expect(page.get_by_role("row").filter(has_text="New antenna")).to_contain_text("09:30")
    with acting_in(stage.tenant):
        planned = MaintenanceWindow.objects.get()
    assert planned.starts_at.isoformat() == f"{tomorrow}T00:30:00+00:00"
