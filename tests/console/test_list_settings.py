"""List settings of a member: hidden columns and saved filters, private, deleted with the membership."""

import re

import pytest
from django.urls import reverse

from apps.accounts.lists import MAX_VIEWS
from apps.accounts.models import ListSetting, Membership
from apps.tenancy import acting_in
from tests.accounts import rows
from tests.inventory.factories import make_device

pytestmark = pytest.mark.django_db

LISTS = {
    "devices": "console:devices",
    "sites": "console:sites",
    "alerts": "console:alerts",
    "incidents": "incidents:list",
}


@pytest.fixture
def network(acme) -> None:
    with acting_in(acme):
        make_device("cr1")
        rows.alert()
        rows.incident()


def headings(answer) -> list[str]:
    return re.findall(
        r'<th scope="col"[^>]*>\s*(?:<a [^>]*>)?\s*([^<]+?)\s*<', answer.content.decode()
    )


def hide(client, page: str, *keys: str, offered: tuple[str, ...]):
    shown = [key for key in offered if key not in keys]
    return client.post(
        reverse("accounts:hide-columns"),
        {"page": page, "offered": offered, "shown": shown, "next": reverse(LISTS[page])},
    )


def save(client, name: str, query: str, page: str = "devices", **more: str):
    form = {"page": page, "name": name, "query": query, "next": reverse(LISTS[page]), **more}
    return client.post(reverse("accounts:save-view"), form)


@pytest.mark.parametrize(
    ("page", "key", "word"),
    [("devices", "version", "Version"), ("sites", "up", "Up"), ("alerts", "seen", "Value")],
)
@pytest.mark.usefixtures("network")
def test_a_hidden_column_stays_hidden_for_its_member_alone(
    log_in, acme_noc, acme_admin, page, key, word
):
    mine, others = log_in(acme_noc), log_in(acme_admin)
    before = headings(mine.get(reverse(LISTS[page])))

    answer = hide(mine, page, key, offered=(key, "state"))

    assert answer["Location"] == reverse(LISTS[page])
    now = mine.get(reverse(LISTS[page]))
    assert headings(now) == [name for name in before if name != word]
    assert f'data-l="{word}"' not in now.content.decode()
    assert 'data-l="State"' in now.content.decode()
    assert headings(others.get(reverse(LISTS[page]))) == before


@pytest.mark.usefixtures("network")
def test_all_ticked_again_shows_all(log_in, acme_noc):
    client = log_in(acme_noc)
    hide(client, "devices", "role", offered=("role",))

    hide(client, "devices", offered=("role",))

    assert "Role" in headings(client.get(reverse("console:devices")))


@pytest.mark.usefixtures("network")
def test_the_first_column_cannot_be_hidden(log_in, acme_noc):
    client = log_in(acme_noc)

    hide(client, "devices", "name", offered=("name",))

    assert "Device" in headings(client.get(reverse("console:devices")))


@pytest.mark.parametrize("page", LISTS)
def test_a_named_filter_is_offered_on_its_list(log_in, acme_noc, page):
    client = log_in(acme_noc)

    save(client, "  Mine \n own ", "q=mad&sort=-name&page=3&after=1~2", page)

    shown = client.get(reverse(LISTS[page]), {"q": "mad", "sort": "-name"}).content.decode()
    assert '<a href="?q=mad&amp;sort=-name" aria-current="true"><bdi>Mine own</bdi></a>' in shown
    others = [reverse(name) for key, name in LISTS.items() if key != page]
    assert not any("Mine own" in client.get(path).content.decode() for path in others)


def test_a_taken_name_means_the_new_filter(log_in, acme_noc):
    client = log_in(acme_noc)
    save(client, "Down", "state=down")

    save(client, "Down", "state=down&role=core")

    shown = client.get(reverse("console:devices")).content.decode()
    assert shown.count("<bdi>Down</bdi>") == 1
    assert "?state=down&amp;role=core" in shown


def test_a_forgotten_view_is_gone(log_in, acme_noc):
    client = log_in(acme_noc)
    save(client, "Down", "state=down")
    form = {"page": "devices", "name": "Down", "next": "/devices/"}

    for _ in range(2):
        assert client.post(reverse("accounts:delete-view"), form)["Location"] == "/devices/"

    assert "<bdi>Down</bdi>" not in client.get(reverse("console:devices")).content.decode()


@pytest.mark.parametrize(
    ("name", "query", "page"),
    [
        ("", "q=a", "devices"),
        (" ", "q=a", "devices"),
        ("x" * 61, "q=a", "devices"),
        ("x", "q=" + "a" * 600, "devices"),
        ("x", "q=a", "nowhere"),
        ("x", "q=a", ""),
    ],
)
def test_what_cannot_be_a_view_is_refused(log_in, acme, acme_noc, name, query, page):
    client = log_in(acme_noc)
    form = {"page": page, "name": name, "query": query, "next": "/devices/"}

    answer = client.post(reverse("accounts:save-view"), form)

    assert answer.status_code == 422
    with acting_in(acme):
        assert not any(row.views for row in ListSetting.objects.all())


def test_the_number_of_views_is_limited(log_in, acme_noc):
    client = log_in(acme_noc)
    for n in range(MAX_VIEWS):
        assert save(client, f"v{n}", "q=a").status_code == 302

    assert save(client, "one more", "q=a").status_code == 422
    assert save(client, "v0", "q=b").status_code == 302


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x>'])
def test_a_name_is_text(log_in, acme_noc, name):
    client = log_in(acme_noc)

    save(client, name, "q=a")

    assert name not in client.get(reverse("console:devices")).content.decode()


@pytest.mark.parametrize("query", ["//evil.example/", "https://evil.example/", "javascript:1"])
def test_saving_leads_nowhere_else(log_in, acme_noc, query):
    assert save(log_in(acme_noc), "x", query, next=query)["Location"] == "/"


def test_nothing_is_shared_between_tenants_and_members(
    log_in, acme, globex, acme_noc, globex_admin
):
    save(log_in(acme_noc), "Ours", "q=a")

    with acting_in(globex):
        assert not ListSetting.objects.exists()
    assert "Ours" not in log_in(globex_admin).get(reverse("console:devices")).content.decode()


def test_it_ends_with_the_membership(log_in, acme, acme_noc):
    save(log_in(acme_noc), "Ours", "q=a")

    Membership.objects.get(tenant=acme, user=acme_noc).delete()

    with acting_in(acme):
        assert not ListSetting.objects.exists()
