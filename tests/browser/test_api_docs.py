"""The REST API's description in a browser: read, and a call tried, under the same strict policy as any page."""

from playwright.sync_api import expect


def test_it_is_read_and_a_call_is_tried_as_oneself(visitor, stage, acme_admin):
    seen = visitor(acme_admin)
    seen.go("/api/docs/")

    expect(seen.page.get_by_role("heading", name="ISPVisualMonitor REST API")).to_be_visible(
        timeout=60_000
    )
    call = seen.page.locator("#operations-identity-me_retrieve")
    seen.page.locator("#operations-tag-identity").click()
    call.locator(".opblock-summary-control").click()
    call.get_by_role("button", name="Try it out").click()
    call.get_by_role("button", name="Execute").click()

    expect(call.locator(".live-responses-table")).to_contain_text(acme_admin.email)
    assert seen.complaints == []


def test_strangers_are_asked_to_sign_in(client, db):
    assert client.get("/api/docs/").headers["Location"].startswith("/sign-in/")
