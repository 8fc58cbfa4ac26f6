"""Incidents over REST and on pages."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts import services as accounts
from apps.authorization.actors import Actor
from apps.core import clock
from apps.incidents.models import Incident, TimelineEntry
from apps.pages.durations import format_duration
from apps.tenancy import acting_in
from tests.conftest import PASSWORD
from tests.incidents.monitored_network import MonitoredNetwork

pytestmark = pytest.mark.django_db

ACTIONS = {
    "ack": {},
    "unack": {},
    "assign": {"user_id": None},
    "notes": {"text": "On it"},
    "close": {"reason": "Known works"},
}
READS = ("", "timeline/", "evidence/", "suppressed/", "impact/", "revisions/")


def bearer(tenant, user) -> Client:
    _token, text = accounts.issue_token(
        tenant=tenant, user=user, name="t", actor=Actor.system("test"), at=clock.now()
    )
    return Client(headers={"authorization": f"Bearer {text}"})


@pytest.fixture
def network(acme) -> MonitoredNetwork:
    return MonitoredNetwork(acme)


@pytest.fixture
def incident(network) -> Incident:
    return network.open_incident()


@pytest.fixture
def noc(acme, acme_noc) -> Client:
    return bearer(acme, acme_noc)


def act(client: Client, incident: Incident, action: str, body=None):
    return client.post(path(incident, f"{action}/"), body or {}, "application/json")


def path(incident: Incident, action: str = "") -> str:
    return f"/api/v1/incidents/{incident.id}/{action}"


class TestReading:
    def test_the_list_shows_the_cause_and_the_impact(self, noc, incident):
        (row,) = noc.get("/api/v1/incidents/").json()["results"]

        assert row["id"] == str(incident.id)
        assert row["root_cause"]["name"] == "cr2-agg1"
        assert row["impact"]["estimated_subscribers_affected"] == 412

    @pytest.mark.parametrize(
        ("query", "found"),
        [("status=open", 1), ("status=closed", 0), ("severity=critical", 1), ("number=2", 0)],
    )
    def test_the_list_filters(self, noc, incident, query, found):
        assert len(noc.get(f"/api/v1/incidents/?{query}").json()["results"]) == found

    @pytest.mark.parametrize("query", ["status=burning", "number=x", "root_id=7", "number=-1"])
    def test_an_invalid_filter_is_rejected(self, noc, incident, query):
        response = noc.get(f"/api/v1/incidents/?{query}")

        assert response.status_code == 400
        assert response.json()["code"]

    def test_the_detail_has_evidence_and_alternatives(self, noc, incident):
        body = noc.get(path(incident)).json()

        (cause,) = body["root_causes"]
        assert cause["classification"] == "primary"
        assert {sign["code"] for sign in cause["evidence"]} >= {"interface_down", "unreachable"}
        assert {row["name"] for row in cause["alternatives"]} >= {"agg1"}

    def test_every_suppressed_alert_has_cause_reason_and_time(self, noc, incident):
        rows = noc.get(path(incident, "suppressed/")).json()["results"]

        assert {row["entity_name"] for row in rows} == {"agg1", "bng1"}
        assert all(
            row["suppressed_by_id"] and row["suppressed_reason"] and row["suppressed_since"]
            for row in rows
        )

    def test_impact_lists_affected_entities(self, noc, network, incident):
        body = noc.get(path(incident, "impact/")).json()

        assert set(body["devices"]) == {str(network.devices[n].id) for n in ("agg1", "bng1")}
        assert body["services"] == [str(network.pppoe.id)]

    def test_a_replay_gives_the_same_verdict(self, noc, incident):
        body = act(noc, incident, "replay", {}).json()

        assert body["is_same"] is True
        assert act(noc, incident, "replay", {"revision": 99}).status_code == 404

    def test_a_list_costs_the_same_queries_for_one_row_and_for_twenty(self, acme, noc, incident):
        def queries(url: str) -> int:
            with CaptureQueriesContext(
                connection,
            ) as captured:
                assert noc.get(url).status_code == 200
            return len(captured)

        few = queries("/api/v1/incidents/")
        timeline_queries = queries(path(incident, "timeline/"))
        with acting_in(acme):
            for number in range(2, 22):
                incident.pk, incident.number = uuid4(), number
                incident.save(force_insert=True)
            first = Incident.objects.get(number=1)
            TimelineEntry.objects.bulk_create(
                TimelineEntry(incident=first, at=clock.now(), kind="note", note="x")
                for _ in range(20)
            )

        assert queries("/api/v1/incidents/") == few
        assert queries(path(first, "timeline/")) == timeline_queries


class TestActing:
    def test_acknowledge_note_assign_and_close(self, noc, incident, acme_noc):
        assert act(noc, incident, "ack").json()["acked_by"]
        assert act(noc, incident, "ack").status_code == 409
        assert act(noc, incident, "unack").json()["acked_by"] == ""
        assert act(noc, incident, "notes", {"text": "On it"}).status_code == 201
        assigned = act(noc, incident, "assign", {"user_id": str(acme_noc.id)})
        assert assigned.json()["assigned_to"] == acme_noc.label
        closed = act(noc, incident, "close", {"reason": "Known works"}).json()
        assert (closed["status"], closed["resolution"]) == ("closed", "operator")

    @pytest.mark.parametrize(
        ("action", "body", "status"),
        [
            ("notes", {}, 400),
            ("notes", {"text": " "}, 400),
            ("notes", {"text": "x" * 4001}, 400),
            ("notes", {"text": "nul\x00"}, 400),
            ("close", {}, 400),
            ("assign", {}, 400),
            ("assign", {"user_id": "me"}, 400),
            ("assign", {"user_id": str(uuid4())}, 422),
            ("unack", {}, 409),
            ("replay", {"revision": "first"}, 400),
        ],
    )
    def test_invalid_requests_are_refused_with_a_code(self, noc, incident, action, body, status):
        response = act(noc, incident, action, body)

        assert response.status_code == status
        assert response.json()["code"]

    @pytest.mark.parametrize(("action", "body"), ACTIONS.items())
    def test_readonly_members_cannot_act(self, acme, acme_readonly, incident, action, body):
        reader = bearer(acme, acme_readonly)

        assert act(reader, incident, action, body).status_code == 403


class TestAnotherTenant:
    @pytest.mark.parametrize("action", READS)
    def test_cannot_read(self, globex, globex_noc, incident, action):
        outsider = bearer(globex, globex_noc)
        foreign = outsider.get(path(incident, action))
        absent = outsider.get(f"/api/v1/incidents/{uuid4()}/{action}")

        assert foreign.status_code == absent.status_code == 404
        assert foreign.content == absent.content

    @pytest.mark.parametrize(("action", "body"), ACTIONS.items())
    def test_cannot_act(self, globex, globex_noc, incident, action, body):
        outsider = bearer(globex, globex_noc)

        assert act(outsider, incident, action, body).status_code == 404


class TestPages:
    @pytest.fixture
    def page(self, acme_noc) -> Client:
        client = Client()
        assert client.login(username=acme_noc.email, password=PASSWORD)
        return client

    def test_list_and_detail_show_title_impact_and_evidence(self, page, incident):
        queue = page.get("/incidents/").content.decode()
        detail = page.get(f"/incidents/{incident.id}/").content.decode()

        for text in (incident.title, "412"):
            assert text in queue
            assert text in detail
        assert "cr2-agg1" in detail
        assert "agg1 alone would explain the same" in detail

    def test_htmx_gets_the_partial(self, page, incident):
        response = page.get(f"/incidents/{incident.id}/", headers={"hx-request": "true"})

        assert "<html" not in response.content.decode()
        assert "HX-Request" in response.headers["Vary"]

    def test_acknowledge_and_note_from_the_page(self, page, acme, incident):
        page.post(f"/incidents/{incident.id}/acknowledge/")
        page.post(f"/incidents/{incident.id}/acknowledge/")
        page.post(f"/incidents/{incident.id}/notes/", {"text": "<b>Fibre</b> crew sent"})

        with acting_in(acme):
            incident.refresh_from_db()
        assert incident.acked_by
        assert (
            "&lt;b&gt;Fibre&lt;/b&gt; crew sent"
            in page.get(f"/incidents/{incident.id}/").content.decode()
        )

    def test_an_empty_list_says_no_open_incidents(self, page):
        assert "No open incidents" in page.get("/incidents/").content.decode()

    @pytest.mark.parametrize("query", ["?status=burning", "?before=x", "?before=99999999999"])
    def test_an_invalid_query_still_shows_the_list(self, page, incident, query):
        assert page.get(f"/incidents/{query}").status_code == 200

    def test_another_tenants_incident_is_not_found(self, globex_noc, incident):
        outsider = Client()
        outsider.login(username=globex_noc.email, password=PASSWORD)

        assert outsider.get(f"/incidents/{incident.id}/").status_code == 404
        assert outsider.post(f"/incidents/{incident.id}/acknowledge/").status_code == 404

    def test_readonly_members_see_no_actions(self, acme_readonly, incident):
        reader = Client()
        reader.login(username=acme_readonly.email, password=PASSWORD)

        assert "acknowledge/" not in reader.get(f"/incidents/{incident.id}/").content.decode()
        assert reader.post(f"/incidents/{incident.id}/acknowledge/").status_code == 403

    def test_the_page_costs_the_same_queries_for_one_row_and_for_twenty(self, acme, page, incident):
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                assert page.get("/incidents/").status_code == 200
            return len(captured)

        page.get("/incidents/")
        few = queries()
        with acting_in(acme):
            for number in range(2, 22):
                incident.pk, incident.number = uuid4(), number
                incident.save(force_insert=True)

        assert queries() == few


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (34, "34 s"),
        (119, "119 s"),
        (300, "5 min"),
        (7800, "2 h 10 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_are_formatted(seconds, text):
    start = clock.now()

    assert format_duration(start, start + timedelta(seconds=seconds)) == text
