"""Columns and views of a list, on a phone: nothing sticks out, and a thumb hits what it means."""

import pytest

from apps.accounts.choices import ListPage
from apps.accounts.lists import MAX_NAME_LENGTH, MAX_VIEWS, save_view
from apps.accounts.selectors import access_for_user
from apps.tenancy import acting_in
from tests.browser.conftest import PHONE
from tests.browser.test_screens import THUMB

#: Of what stands in an open menu: how far it sticks out sideways, and how high it is.
MEASURED = """menu => [...menu.querySelectorAll('button, label:has(input), input[required]')].map(part => {
  const outer = menu.getBoundingClientRect(), inner = part.getBoundingClientRect();
  return [Math.max(outer.left - inner.left, inner.right - outer.right, part.scrollWidth - part.clientWidth),
          inner.height];
})"""


@pytest.mark.parametrize(("menu", "parts"), [("Views", MAX_VIEWS + 2), ("Columns", 9)])
def test_a_full_menu_fits_a_phone(visitor, stage, acme, acme_noc, menu, parts):
    with acting_in(acme):
        access = access_for_user(acme_noc, acme_noc.memberships.get().tenant_id)
        for n in range(MAX_VIEWS):
            name = f"{n:02} {'routers that wait for somebody ' * 3}"[:MAX_NAME_LENGTH].strip()
            save_view(access=access, page=ListPage.DEVICES, name=name, query=f"q={n}")
    window = visitor(acme_noc, viewport=PHONE, has_touch=True, is_mobile=True)
    window.go("/devices/")
    page = window.page

    page.locator("summary", has_text=menu).tap()

    opened = page.locator("#devices-tools details[open] .menu-body")
    measured = opened.evaluate(MEASURED)
    box = opened.bounding_box()
    assert len(measured) == parts
    assert [out for out, _height in measured if out > 0] == []
    assert min(height for _out, height in measured) >= THUMB
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
