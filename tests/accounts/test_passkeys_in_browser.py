"""Passkey registration and use in a real Chromium with a virtual authenticator."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from apps.accounts.models import OpenSession
from tests.chromium import CHROMIUM
from tests.conftest import PASSWORD

pytestmark = [
    pytest.mark.browser,
    pytest.mark.real,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def page(chromium, live_server, under_way, settings) -> Iterator[Page]:
    """A page with a virtual authenticator that verifies its user, and the page's errors."""
    settings.ISPVM_PUBLIC_URL = live_server.url
    page = chromium.new_page(base_url=live_server.url)
    page.set_default_timeout(30_000)
    page.complaints = []
    page.on(
        "console", lambda message: message.type == "error" and page.complaints.append(message.text)
    )
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.devtools = page.context.new_cdp_session(page)
    page.devtools.send("WebAuthn.enable")
    page.authenticator = page.devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )["authenticatorId"]
    yield page
    page.close()


def sign_in(page: Page, user, next_path: str = "/account/") -> None:
    page.goto(f"/sign-in/?next={next_path}")
    page.get_by_label("E-mail").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def add_passkey(page: Page, name: str) -> None:
    form = page.locator("form[data-passkey=register]")
    form.get_by_label("Name").fill(name)
    form.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.get_by_role("link", name="I have stored them").click()
    expect(page.get_by_role("cell", name=name, exact=True)).to_be_visible()


def sign_out(page: Page) -> None:
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_passkey_is_registered_and_signs_in_alone_and_as_second_factor(page, acme_noc):
    sign_in(page, acme_noc)
    add_passkey(page, "Laptop")
    sign_out(page)

    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("details.menu summary")).to_be_visible()
    assert OpenSession.objects.get().method == "passkey"
    sign_out(page)

    sign_in(page, acme_noc)
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    page.get_by_role("button", name="Use your passkey").click()
    expect(page.get_by_role("heading", name="Security")).to_be_visible()
    assert OpenSession.objects.get().method == "password+passkey"
    assert page.complaints == []


def test_without_user_verification_a_passkey_alone_is_refused(page, acme_noc):
    sign_in(page, acme_noc)
    add_passkey(page, "Key")
    sign_out(page)
    page.devtools.send(
        "WebAuthn.setUserVerified",
        {"authenticatorId": page.authenticator, "isUserVerified": False},
    )

    page.get_by_role("button", name="Sign in with a passkey").click()

    expect(page.locator("[data-passkey-error=none]")).to_be_visible()
    assert not OpenSession.objects.exists()


def test_a_removed_passkey_is_refused(page, acme_noc):
    sign_in(page, acme_noc)
    add_passkey(page, "Old")
    page.get_by_role("button", name="Remove Old").click()
    expect(page.get_by_role("cell", name="Old", exact=True)).not_to_be_visible()
    sign_out(page)

    page.get_by_role("button", name="Sign in with a passkey").click()

    expect(page.get_by_text("The passkey was not accepted.")).to_be_visible()
    assert not OpenSession.objects.exists()


def test_a_required_second_factor_is_set_up_as_a_passkey(page, acme, acme_noc):
    acme.second_factor_roles = ["noc"]
    acme.save()
    sign_in(page, acme_noc, "/agents/")
    expect(page.get_by_role("heading", name="Set up a second factor")).to_be_visible()

    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.goto("/agents/")

    expect(page.get_by_role("heading", name="Agents")).to_be_visible()
    assert page.complaints == []
