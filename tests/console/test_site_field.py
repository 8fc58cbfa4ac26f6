"""The site filter of the list of devices: a select for few sites, a text search for many."""

import re

import pytest
from django.urls import reverse

from apps.accounts.models import Membership
from apps.console.web.site_field import MAX_CHOICES, MAX_MATCHES
from apps.core import clock
from apps.inventory.services import grant
from apps.tenancy import acting_in
from tests.console.test_orders import csv_rows
from tests.inventory.factories import ACTOR, make_device, make_site

pytestmark = pytest.mark.django_db

PATH = "/devices/"


@pytest.fixture
def many(acme):
    """More sites than a choice holds; two of the south, two with a router."""
    with acting_in(acme):
        sites = [make_site(f"Tower {n:02}", code=f"T{n:02}") for n in range(MAX_CHOICES)]
        south = [make_site(f"South {n}", code=f"SU-{n}") for n in range(2)]
        make_device("r-tower", site=sites[0])
        for site in south:
            make_device(f"r-{site.code.lower()}", site=site)
    return south


def shown(answer) -> list[str]:
    assert answer.status_code == 200
    return re.findall(r'<b><bdi dir="ltr">([^<]+)</bdi></b>', answer.content.decode())


def field(answer) -> str:
    """The form of the filter."""
    text = answer.content.decode()
    return text[text.index('id="devices-filter"') :].partition("</form>")[0]


def matches(answer) -> dict[str, str]:
    text = answer.content.decode()
    offered = text.partition('aria-label="Matching sites"')[2].partition("</nav>")[0]
    links = re.findall(r'href="\?([^"]*)"><bdi>([^<]+)</bdi>', offered)
    return {name: query.replace("&amp;", "&") for query, name in links}


def test_few_sites_are_a_choice(log_in, acme, acme_noc):
    with acting_in(acme):
        site = make_site("Hub")
    client = log_in(acme_noc)

    form = field(client.get(PATH, {"site": str(site.id)}))

    assert f'<option value="{site.id}" selected>Hub</option>' in form
    assert 'type="search" name="site"' not in form


def test_many_sites_are_a_text_search(log_in, acme_noc, many):
    form = field(log_in(acme_noc).get(PATH))

    assert '<input type="search" name="site" value=""' in form
    assert "Tower 07" not in form


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("south", ["r-su-0", "r-su-1"]),
        ("SU-1", ["r-su-1"]),
        ("tower 00", ["r-tower"]),
        ("nowhere", []),
        ("%", []),
    ],
)
def test_words_are_of_a_name_or_a_code(log_in, acme_noc, many, words, names):
    client = log_in(acme_noc)

    page = client.get(PATH, {"site": words})
    file = csv_rows(client.get(reverse("console:devices-csv"), {"site": words}))

    assert shown(page) == names
    assert [row["name"] for row in file] == names
    assert f'name="site" value="{words}"' in field(page)


def test_words_that_fit_several_sites_offer_each(log_in, acme_noc, many):
    client = log_in(acme_noc)

    offered = matches(client.get(PATH, {"site": "south", "role": "core", "sort": "-name"}))

    assert offered == {site.name: f"site={site.id}&role=core&sort=-name" for site in many}
    assert shown(client.get(f"{PATH}?site={many[0].id}")) == ["r-su-0"]


def test_only_so_many_are_offered(log_in, acme_noc, many):
    answer = log_in(acme_noc).get(PATH, {"site": "tower"})

    assert len(matches(answer)) == MAX_MATCHES
    assert f"{MAX_CHOICES - MAX_MATCHES} more" in answer.content.decode()


def test_one_that_fits_alone_is_not_offered(log_in, acme_noc, many):
    assert matches(log_in(acme_noc).get(PATH, {"site": "SU-1"})) == {}


def test_a_chosen_site_stays_while_the_rest_of_the_filter_changes(log_in, acme_noc, many):
    form = field(log_in(acme_noc).get(PATH, {"site": str(many[1].id), "q": "r-"}))

    assert f'<input type="hidden" name="site" value="{many[1].id}">' in form
    assert "<bdi>South 1</bdi>" in form
    assert '<a class="text-link" href="?q=r-">Any site</a>' in form


def test_words_stay_a_field_where_sites_are_few(log_in, acme, acme_noc):
    with acting_in(acme):
        make_device("r1", site=make_site("Hub", code="HUB"))

    answer = log_in(acme_noc).get(PATH, {"site": "hub"})

    assert shown(answer) == ["r1"]
    assert 'type="search" name="site" value="hub"' in field(answer)


def test_a_limited_member_finds_no_site_outside_the_grant(log_in, acme, acme_noc, many):
    """The router is granted, its site is not: the site's name finds nothing."""
    Membership.objects.filter(user=acme_noc).update(is_limited=True)
    with acting_in(acme):
        device = many[0].devices.get()
        grant(user_id=acme_noc.id, row=device, actor=ACTOR, at=clock.now())
    client = log_in(acme_noc)

    assert shown(client.get(PATH)) == ["r-su-0"]
    for words in ("south", "SU-0"):
        answer = client.get(PATH, {"site": words})
        assert shown(answer) == []
        assert matches(answer) == {}


def test_five_hundred_sites_weigh_little(log_in, acme, acme_noc, many):
    client = log_in(acme_noc)
    before = len(client.get(PATH).content)
    with acting_in(acme):
        for n in range(450):
            make_site(f"Mast {n:03}", code=f"M{n:03}")

    assert len(client.get(PATH).content) - before < 200
