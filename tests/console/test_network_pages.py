"""Map, topology, charts and the incident queue: content, access, query counts."""

import json

import pytest
from django.urls import reverse

from apps.accounts.models import Membership
from apps.agents.models import Agent
from apps.tenancy import acting_in
from tests import test_list_costs as rows
from tests.clients import queries, signed_in

pytestmark = pytest.mark.django_db

DRAWINGS = ("console:map", "console:map-data", "console:topology", "console:topology-data")
HTMX = {"HX-Request": "true"}


@pytest.fixture
def incident(stage, _now):
    return stage.open_incident()


def drawn(client, name: str, *args, **query):
    return json.loads(client.get(reverse(name, args=args), query).content)


def test_query_count_is_equal_for_1_and_20_rows(log_in, acme, acme_noc):
    client = log_in(acme_noc)
    with acting_in(acme):
        rows.link(0)
    paths = [reverse(name) for name in DRAWINGS]
    few = [queries(lambda path=path: client.get(path)) for path in paths]
    with acting_in(acme):
        for n in range(1, 20):
            rows.link(n)

    assert [queries(lambda path=path: client.get(path)) for path in paths] == few
    assert max(few) <= 18


def test_the_topology_shows_the_cause_and_what_is_behind_it(log_in, acme_noc, incident):
    document = drawn(log_in(acme_noc), "console:topology-data", incident=str(incident.id))

    looks = {node["label"]: node["look"] for node in document["nodes"]}
    links = {edge["label"]: edge["look"] for edge in document["edges"]}
    assert (looks["agg1"], looks["bng1"], looks["cr1"]) == ("suppressed", "suppressed", "ok")
    assert [name for name, look in links.items() if look == "root"] == ["cr2-agg1"]


def test_collapsed_the_topology_shows_sites(log_in, acme_noc, incident):
    document = drawn(log_in(acme_noc), "console:topology-data", collapse="1")

    assert {node["label"]: node["look"] for node in document["nodes"]} == {
        "hub": "ok",
        "north": "critical",
    }


def test_the_map_shows_sites_with_coordinates_only(log_in, acme, acme_noc, incident, stage):
    with acting_in(acme):
        site = stage.devices["agg1"].site
        site.latitude, site.longitude = 34.4, 35.8
        site.save(update_fields=["latitude", "longitude"])

    (site,) = drawn(log_in(acme_noc), "console:map-data")["sites"]

    assert (site["name"], site["look"], site["bad"]) == ("north", "critical", 2)


def test_a_limited_member_is_drawn_what_was_granted(log_in, acme_noc, incident):
    Membership.objects.filter(user=acme_noc).update(is_limited=True)
    client = log_in(acme_noc)

    assert drawn(client, "console:topology-data") == {"nodes": [], "edges": []}
    assert drawn(client, "console:map-data") == {"sites": [], "links": []}
    assert client.get(reverse("incidents:impact-graph", args=[incident.id])).status_code == 404


def test_an_incident_draws_its_story(log_in, acme_noc, incident):
    client = log_in(acme_noc)

    chart = drawn(client, "incidents:series", incident.id)
    blast = drawn(client, "incidents:impact-graph", incident.id)

    (up, sessions) = chart["lines"]
    assert (up["label"], sessions["label"]) == ("routers that answer", "sessions")
    assert [value for value in up["values"] if value is not None][-1] < 2
    assert sum(1 for mark in chart["marks"] if mark["number"]) >= 1
    assert {n["label"] for n in blast["nodes"] if n["look"] == "suppressed"} == {"agg1", "bng1"}


@pytest.mark.parametrize("field", ["incident", "site", "role", "collapse"])
@pytest.mark.parametrize("junk", ["", "x", "\x00", "00000000-0000-0000-0000-000000000000"])
@pytest.mark.parametrize("name", DRAWINGS)
def test_no_query_breaks_a_drawing(log_in, acme_noc, name, field, junk):
    assert log_in(acme_noc).get(reverse(name), {field: junk}).status_code == 200


@pytest.mark.parametrize("junk", ["", "x", "\x00", "traffic:", "traffic:x", "load:" + "0" * 36])
def test_no_query_breaks_a_device_chart(log_in, acme_noc, stage, junk):
    path = reverse("console:device-series", args=[stage.devices["cr1"].id])

    assert (
        log_in(acme_noc).get(path, {"chart": junk, "range": junk, "from": junk}).status_code == 200
    )


class TestQueue:
    @pytest.mark.parametrize(
        ("query", "shown"),
        [
            ({}, True),
            ({"severity": "critical"}, True),
            ({"severity": "info"}, False),
            ({"owner": "nobody"}, True),
            ({"owner": "me"}, False),
            ({"q": "agg1"}, True),
            ({"q": "nothing so called"}, False),
            ({"status": "closed"}, False),
            ({"status": "all"}, True),
            ({"status": "x", "severity": "x", "owner": "x"}, True),
        ],
    )
    def test_filters(self, log_in, acme_noc, incident, query, shown):
        page = log_in(acme_noc).get(reverse("incidents:list"), query)

        assert (incident.title.encode() in page.content) is shown

    def test_an_acknowledged_incident_is_assigned_to_me(self, log_in, acme_noc, incident):
        client = log_in(acme_noc)
        client.post(reverse("incidents:acknowledge", args=[incident.id]))

        page = client.get(reverse("incidents:list"), {"owner": "me"})

        assert incident.title.encode() in page.content

    def test_the_chosen_are_acknowledged_and_the_rest_is_ignored(
        self, log_in, acme_noc, incident, stage
    ):
        chosen = [str(incident.id), "x", "00000000-0000-0000-0000-000000000000", str(incident.id)]

        answer = log_in(acme_noc).post(reverse("incidents:acknowledge-many"), {"incident": chosen})

        assert answer.status_code == 302
        assert stage.incidents()[0].acked_by

    def test_readers_choose_nothing(self, log_in, acme_readonly, incident):
        path = reverse("incidents:acknowledge-many")

        assert log_in(acme_readonly).post(path, {"incident": [incident.id]}).status_code == 403

    def test_assigned_to_a_member_and_unassigned_again(self, log_in, acme_noc, incident, stage):
        client, path = log_in(acme_noc), reverse("incidents:assign", args=[incident.id])

        client.post(path, {"member": str(acme_noc.id)})
        assert stage.incidents()[0].assigned_to == acme_noc.label
        client.post(path, {"member": ""})
        assert stage.incidents()[0].assigned_to == ""

    def test_a_user_of_another_tenant_cannot_be_assigned(
        self, log_in, acme_noc, globex_noc, incident, stage
    ):
        path = reverse("incidents:assign", args=[incident.id])

        answer = log_in(acme_noc).post(path, {"member": str(globex_noc.id)})

        assert 400 <= answer.status_code < 500
        assert stage.incidents()[0].assigned_to == ""

    def test_closed_by_hand_with_a_reason_only(self, log_in, acme_noc, incident, stage):
        client, path = log_in(acme_noc), reverse("incidents:close", args=[incident.id])

        assert 400 <= client.post(path, {"reason": " "}).status_code < 500
        assert stage.incidents()[0].is_open
        client.post(path, {"reason": "Works on the mast"})
        assert not stage.incidents()[0].is_open


def test_an_unchanged_part_is_not_sent_again(log_in, acme_noc, incident):
    client, path = log_in(acme_noc), reverse("incidents:list")
    first = client.get(path, headers=HTMX)

    again = client.get(path, headers={**HTMX, "If-None-Match": first["ETag"]})
    client.post(reverse("incidents:acknowledge", args=[incident.id]))
    after = client.get(path, headers={**HTMX, "If-None-Match": first["ETag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert after.status_code == 200


class TestEnrollWizard:
    def test_ends_with_the_enrollment_command(self, log_in, acme, acme_admin, stage):
        client = signed_in(log_in(acme_admin), acme_admin)
        site = stage.devices["agg1"].site_id

        named = client.post(reverse("agents:new"), {"name": "north-1", "site": str(site)})
        with acting_in(acme):
            agent = Agent.objects.get(name="north-1")
        issued = client.post(reverse("agents:issue", args=[agent.id])).content.decode()

        assert named["Location"] == reverse("agents:enroll", args=[agent.id])
        assert "python3 -m agent enroll --state-dir /var/lib/ispvm-agent --token " in issued

    @pytest.mark.parametrize("name", ["", "core", "x" * 200, "\x00"])
    def test_shows_errors_beside_the_field(self, log_in, acme_admin, stage, name):
        client = signed_in(log_in(acme_admin), acme_admin)
        answer = client.post(reverse("agents:new"), {"name": name})

        assert answer.status_code == 422
        assert b'role="alert"' in answer.content

    def test_requires_recent_authentication(self, log_in, acme_admin, stage):
        answer = log_in(acme_admin).get(reverse("agents:new"))

        assert answer["Location"].startswith(reverse("accounts:confirm"))

    def test_is_not_for_operators(self, log_in, acme_noc, stage):
        assert log_in(acme_noc).get(reverse("agents:new")).status_code == 403
