"""A held login on the page of its device: read, proven, approved."""

import os

import pytest

from apps.authorization.actors import Actor
from apps.inventory import services as inventory
from apps.inventory.destinations import login_status
from apps.inventory.models import Device
from apps.tenancy import acting_in
from apps.vault.services import store_credential_set
from tests.agents.factories import ACTOR, AT
from tests.browser.conftest import DESKTOP, PHONE
from tests.conftest import PASSWORD

CHANGES = Actor("token", "00000000-0000-4000-8000-000000000001", "inventory only")


@pytest.fixture
def held(stage, acme) -> Device:
    """A router whose address a program has changed."""
    with acting_in(acme):
        login = store_credential_set(name="routers", username="mon", secret="x", actor=ACTOR, at=AT)
        device: Device = stage.devices["agg1"]
        inventory.set_device_credentials(device=device, credential_sets=[login], actor=ACTOR, at=AT)
        changes = {"management_address": "198.51.100.66"}
        inventory.update_device(device=device, changes=changes, actor=CHANGES, at=AT)
    return device


def shoot(page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_is_approved_after_a_fresh_proof(visitor, held, acme, acme_admin):
    window = visitor(acme_admin, viewport=DESKTOP)
    window.go(f"/devices/{held.pk}/")
    page = window.page
    section = page.locator("#login")
    section.get_by_text("another address").wait_for()
    shoot(page, "held")
    assert section.get_by_text("198.51.100.66").is_visible()

    section.get_by_role("button", name="Approve destination").click()
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("form:has(input[name=password]) button[type=submit]").click()
    section.get_by_role("button", name="Approve destination").click()
    section.get_by_text("another address").wait_for(state="detached")
    shoot(page, "approved")

    with acting_in(acme):
        assert not login_status(Device.objects.get(pk=held.pk)).reasons


@pytest.mark.parametrize("path", ["/devices/{pk}/", "/logins/", "/devices/"])
def test_fits_a_phone(visitor, held, acme_admin, path):
    window = visitor(acme_admin, viewport=PHONE, has_touch=True, is_mobile=True)
    window.go(path.format(pk=held.pk))
    page = window.page
    page.get_by_text("Login held").first.wait_for()
    shoot(page, "phone" + path.replace("/", "-").format(pk="x"))

    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    cut = page.locator("main td").evaluate_all(
        "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1).length"
    )
    assert cut == 0, "an address that somebody decides on is shown whole"
