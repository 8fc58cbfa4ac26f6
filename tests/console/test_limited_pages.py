"""Pages of a limited member name and count granted objects and what belongs to them, nothing else."""

import re

import pytest
from django.urls import reverse

from apps.accounts.models import Membership
from apps.incidents.models import Incident
from apps.inventory.models import Link
from apps.inventory.services import grant
from apps.tenancy import acting_in
from tests.accounts.test_page_matrix import LISTWISE, outcome, whole
from tests.clients import queries
from tests.incidents.monitored_network import ACTOR, CUT_OFF_ROUTERS
from tests.inventory.factories import make_site

pytestmark = pytest.mark.django_db

OWN, OUTSIDE = CUT_OFF_ROUTERS[1], ("cr1", "cr2", "er1", CUT_OFF_ROUTERS[0], "hub", "north")


@pytest.fixture
def limited(acme, acme_noc, log_in):
    Membership.objects.filter(user=acme_noc).update(is_limited=True)
    return log_in(acme_noc)


@pytest.fixture
def incident(stage, _now) -> Incident:
    """The backhaul is cut: its cause is a link of the core, the PoP's routers are behind it."""
    return stage.open_incident()


@pytest.fixture
def one_router(acme, acme_noc, limited, stage, incident):
    """One of the routers behind it is granted; its site and its neighbours are not."""
    with acting_in(acme):
        grant(user_id=acme_noc.id, row=stage.devices[OWN], actor=ACTOR, at=stage.t0)
    return limited


def named_in(text: str) -> list[str]:
    """What is outside and named there; ports and links of the granted router carry the names of their far ends."""
    return [name for name in OUTSIDE if re.search(rf"(?<![\w/-]){name}(?![\w-])", text)]


def urls(stage, incident) -> list[str]:
    return [
        *(page.url() for page in LISTWISE if "search" not in page.path),
        *(f"/search/?q={words}" for words in (OWN, "r", "cut", f"INC-{incident.number}")),
        reverse("console:device", args=[stage.devices[OWN].id]),
        reverse("incidents:detail", args=[incident.id]),
        "/incidents/?status=all",
        *(f"/devices/?state={state}" for state in ("up", "down", "blind", "unknown")),
    ]


def test_no_page_names_what_is_outside_the_grant(one_router, stage, incident):
    answers = {url: one_router.get(url) for url in urls(stage, incident)}
    texts = {url: whole(answer).decode() for url, answer in answers.items()}

    assert {url: named_in(text) for url, text in texts.items() if named_in(text)} == {}
    outside = {str(row.id) for name, row in stage.devices.items() if name != OWN}
    assert not [url for url, text in texts.items() if any(pk in text for pk in outside)]
    assert {a.status_code for a in answers.values()} <= {200, 403, 405}  # some take posts only
    assert sum(a.status_code == 200 for a in answers.values()) >= 10


def test_counts_are_of_what_is_granted(one_router, stage):
    home = one_router.get("/").context["page"]
    devices = one_router.get("/devices/").context["page"]
    alerts = one_router.get("/alerts/").context["page"]

    assert home.devices == devices.all == devices.pager.total == 1
    assert sum(count.number for count in home.reachability) == 1
    assert home.all_sites == 0
    assert [row.name for row in devices.rows] == [OWN]
    assert alerts.all == len(alerts.rows) > 0
    assert {row.device_id for row in alerts.rows} <= {stage.devices[OWN].id, None}
    assert [choice.number for choice in devices.states if choice.value == ""] == [1]


def test_a_cause_outside_the_grant_is_reported_as_such(one_router, incident):
    page = one_router.get(reverse("incidents:detail", args=[incident.id]))

    assert "includes objects that you may not view" in page.content.decode()
    assert page.context["page"].causes == page.context["page"].timeline == ()
    assert page.context["page"].suppressed_groups


def test_search_does_not_reveal_a_cause_outside_the_grant(one_router, incident):
    assert incident.root_name == "cr2-agg1"
    found = one_router.get("/search/?q=cr2-agg1").context["page"]

    assert found.incidents == ()
    assert one_router.get(f"/search/?q=INC-{incident.number}").context["page"].incidents


def test_who_was_granted_all_of_it_reads_it_whole(acme, acme_noc, limited, stage, incident):
    with acting_in(acme):
        for site in {row.site_id: row.site for row in stage.devices.values()}.values():
            grant(user_id=acme_noc.id, row=site, actor=ACTOR, at=stage.t0)

    shown = limited.get(reverse("incidents:detail", args=[incident.id])).content.decode()
    home = limited.get("/")

    assert "cr2-agg1" in shown
    assert "reaches beyond" not in shown
    assert home.context["page"].devices == len(stage.devices)
    assert "hub" in home.content.decode() or "north" in home.content.decode()


def test_outside_is_as_absent(one_router, stage, acme):
    with acting_in(acme):
        other = make_site("other")
        link = Link.objects.get(name="cr2-agg1")
    absent = "00000000-0000-4000-8000-000000000000"
    for kind, pk in (("device", link.a_device_id), ("site", other.id)):
        outside, nowhere = (
            outcome(one_router.get(reverse(f"console:{kind}", args=[which])), which)
            for which in (pk, absent)
        )
        assert outside == nowhere
        assert nowhere[0] == 404


def test_navigation_leads_only_where_one_may_go(one_router):
    home = one_router.get("/").content.decode()

    for name, leads in (
        ("console:devices", True),
        ("agents:list", False),
        ("delivery:deliveries", False),
    ):
        assert (f'href="{reverse(name)}"' in home) == leads, name


def test_pages_cost_the_same_for_one_grant_and_for_many(acme, acme_noc, one_router, stage):
    paths = ("/", "/devices/", "/sites/", "/alerts/", "/search/?q=r")
    with acting_in(acme):
        for name in ("agg1", "cr2"):
            grant(user_id=acme_noc.id, row=stage.devices[name], actor=ACTOR, at=stage.t0)
    one_router.get(paths[0])  # the first one of a minute notes that the session was seen
    few = [queries(lambda path=path: one_router.get(path)) for path in paths]
    with acting_in(acme):
        for row in stage.devices.values():
            grant(user_id=acme_noc.id, row=row, actor=ACTOR, at=stage.t0)

    many = [queries(lambda path=path: one_router.get(path)) for path in paths]
    assert all(now <= before for now, before in zip(many, few, strict=True)), (many, few)
