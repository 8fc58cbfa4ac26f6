import uuid

import pytest
from rest_framework.test import APIClient

from apps.accounts.services import issue_token
from apps.authorization.actors import Actor
from apps.core import clock
from apps.delivery.models import Delivery
from apps.tenancy import acting_in
from apps.webhooks.models import Endpoint
from tests.webhooks.conftest import deliver, emit_incident

pytestmark = pytest.mark.django_db

BASE = "/api/v1/webhook-endpoints/"
NEW = {"name": "pager", "url": "https://hook.example.net/x", "event_types": ["incident.opened"]}


def bearer(tenant, user) -> APIClient:
    _, text = issue_token(
        tenant=tenant, user=user, name="test", actor=Actor.system("test"), at=clock.now()
    )
    return APIClient(headers={"Authorization": f"Bearer {text}"})


@pytest.fixture
def admin(acme, acme_admin) -> APIClient:
    return bearer(acme, acme_admin)


class TestEndpoints:
    def test_creation_shows_the_secret_once(self, admin):
        created = admin.post(BASE, NEW)

        assert created.status_code == 201
        assert created.json()["secret"].startswith("whsec_")
        again = admin.get(f"{BASE}{created.json()['id']}/").json()
        assert "secret" not in again
        assert again["secret_stages"] == ["current"]
        assert "secret" not in admin.get(BASE).json()["results"][0]

    def test_a_refused_url_is_a_problem_with_its_code(self, admin):
        answer = admin.post(BASE, {**NEW, "url": "https://127.0.0.1:5432/"})

        assert answer.status_code == 422
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "address_denied"

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({"event_types": ["webhook.ping"]}, 400),
            ({"severity_floor": "fatal"}, 400),
            ({"name": ""}, 400),
            ({"url": "x"}, 422),
            ({"ca_pem": "ünreadable"}, 422),
        ],
    )
    def test_invalid_fields_are_named(self, admin, fields, status):
        answer = admin.post(BASE, {**NEW, **fields})

        assert answer.status_code == status
        assert answer.json()["code"]

    def test_are_changed_field_by_field(self, admin):
        created = admin.post(BASE, NEW).json()

        changed = admin.patch(
            f"{BASE}{created['id']}/", {"severity_floor": "critical", "pause_reason": "gone"}
        )

        assert changed.status_code == 200
        assert changed.json()["severity_floor"] == "critical"
        assert changed.json()["url"] == NEW["url"]
        assert changed.json()["pause_reason"] == ""
        refused = admin.patch(f"{BASE}{created['id']}/", {"url": "http://8.8.8.8/"})
        assert refused.json()["code"] == "https_required"

    def test_a_duplicate_name_is_a_conflict(self, admin):
        admin.post(BASE, NEW)

        assert admin.post(BASE, NEW).status_code == 409

    def test_pause_resume_and_delete(self, admin):
        created = admin.post(BASE, NEW).json()
        one = f"{BASE}{created['id']}/"

        assert admin.post(f"{one}pause/").json()["pause_reason"] == "operator"
        assert admin.post(f"{one}test/").json()["code"] == "endpoint_paused"
        assert admin.post(f"{one}resume/").json()["is_paused"] is False
        assert admin.delete(one).status_code == 204
        assert admin.get(one).status_code == 404
        assert admin.get(BASE).json()["results"] == []

    def test_are_ordered_and_filtered_by_the_fields_of_their_destinations(self, admin):
        ids = {name: admin.post(BASE, {**NEW, "name": name}).json()["id"] for name in "bac"}
        admin.post(f"{BASE}{ids['b']}/pause/")

        def names(query: str) -> list[str]:
            return [row["name"] for row in admin.get(BASE + query).json()["results"]]

        assert names("?ordering=name") == ["a", "b", "c"]
        assert names("?ordering=-name") == ["c", "b", "a"]
        assert names("?name=c") == ["c"]
        assert names("?pause_reason=operator") == ["b"]
        first = admin.get(f"{BASE}?ordering=name&page_size=2").json()
        rest = admin.get(first["next"]).json()["results"]
        assert [row["name"] for row in rest] == ["c"]

    def test_rotate_in_three_steps(self, admin):
        created = admin.post(BASE, NEW).json()
        rotate = f"{BASE}{created['id']}/rotate-secret/"

        staged = admin.post(rotate, {"step": "stage"}).json()
        assert staged["secret"].startswith("whsec_")
        assert staged["secret"] != created["secret"]
        assert staged["secret_stages"] == ["current", "staged"]
        assert admin.post(rotate, {"step": "stage"}).json()["code"] == "already_staged"
        promoted = admin.post(rotate, {"step": "promote", "grace_hours": 1}).json()
        assert promoted["secret_stages"] == ["current", "retiring"]
        assert "secret" not in promoted
        assert admin.post(rotate, {"step": "retire"}).json()["secret_stages"] == ["current"]

    def test_a_test_returns_its_delivery(self, admin):
        created = admin.post(BASE, NEW).json()

        answer = admin.post(f"{BASE}{created['id']}/test/")

        assert answer.status_code == 202
        assert answer.json()["event_type"] == "webhook.ping"
        assert admin.get(f"/api/v1/webhook-deliveries/{answer.json()['id']}/").status_code == 200


WRITES = [
    ("post", BASE),
    ("patch", BASE + "{endpoint}/"),
    ("delete", BASE + "{endpoint}/"),
    ("post", BASE + "{endpoint}/test/"),
    ("post", BASE + "{endpoint}/rotate-secret/"),
    ("post", BASE + "{endpoint}/pause/"),
    ("post", BASE + "{endpoint}/resume/"),
    ("post", "/api/v1/webhook-deliveries/{delivery}/resend/"),
    ("post", "/api/v1/webhook-dead-letters/resend/"),
]
READS = [
    BASE,
    BASE + "{endpoint}/",
    "/api/v1/webhook-deliveries/",
    "/api/v1/webhook-deliveries/{delivery}/",
    "/api/v1/webhook-dead-letters/",
]


class TestPermissions:
    @pytest.fixture
    def ids(self, acme, make_endpoint):
        endpoint = make_endpoint("https://hook.example.net/x")
        emit_incident(acme)
        with acting_in(acme):
            return {"endpoint": endpoint.id, "delivery": Delivery.objects.get().id}

    @pytest.mark.parametrize(("method", "path"), WRITES)
    @pytest.mark.parametrize("role", ["acme_noc", "acme_readonly", "acme_auditor"])
    def test_only_admins_write(self, acme, ids, request, role, method, path):
        client = bearer(acme, request.getfixturevalue(role))

        assert getattr(client, method)(path.format(**ids), NEW).status_code == 403

    @pytest.mark.parametrize("path", READS)
    @pytest.mark.parametrize(
        ("role", "status"), [("acme_noc", 200), ("acme_auditor", 200), ("acme_readonly", 403)]
    )
    def test_noc_and_auditors_read(self, acme, ids, request, role, status, path):
        client = bearer(acme, request.getfixturevalue(role))

        assert client.get(path.format(**ids)).status_code == status

    @pytest.mark.parametrize(
        ("method", "path"), [*WRITES[1:8], *[("get", path) for path in READS if "{" in path]]
    )
    def test_foreign_and_missing_ids_get_the_same_response(
        self, globex, globex_admin, ids, method, path
    ):
        client = bearer(globex, globex_admin)
        absent = {"endpoint": uuid.uuid4(), "delivery": uuid.uuid4()}

        body = None if method == "get" else NEW
        foreign = getattr(client, method)(path.format(**ids), body)
        nothing = getattr(client, method)(path.format(**absent), body)

        assert foreign.status_code == nothing.status_code == 404
        assert foreign.content == nothing.content

    @pytest.mark.parametrize("path", [BASE, "/api/v1/webhook-deliveries/"])
    def test_lists_of_others_are_empty(self, globex, globex_admin, ids, path):
        assert bearer(globex, globex_admin).get(path).json()["results"] == []

    @pytest.mark.parametrize("path", [BASE, "/api/v1/webhook-deliveries/"])
    def test_anonymous_requests_are_unauthenticated(self, db, path):
        assert APIClient().get(path).status_code == 401


@pytest.mark.django_db(transaction=True)
class TestDeliveries:
    @pytest.fixture
    def delivered_to(self, acme, server, make_endpoint) -> Endpoint:
        endpoint = make_endpoint(server.url)
        emit_incident(acme, sequence=1)
        deliver(endpoint)
        emit_incident(acme, "incident.closed", sequence=2)
        return endpoint

    def test_shows_each_delivery_with_its_attempts_and_bytes(self, admin, delivered_to):
        rows = admin.get("/api/v1/webhook-deliveries/").json()["results"]
        assert [row["sequence"] for row in rows] == [2, 1]
        assert "attempts" not in rows[0]

        one = admin.get(f"/api/v1/webhook-deliveries/{rows[1]['id']}/").json()

        assert one["state"] == "delivered"
        assert one["attempts"][0]["status"] == 204
        assert '"event_type":"incident.opened"' in one["body"]

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("state=pending", 1),
            ("state=delivered", 1),
            ("state=dead", 0),
            ("event_type=incident.closed", 1),
            ("incident=c0ffee00-0000-4000-8000-000000000001", 2),
            ("incident=c0ffee00-0000-4000-8000-00000000000f", 0),
        ],
    )
    def test_is_filtered(self, admin, delivered_to, query, count):
        answer = admin.get(f"/api/v1/webhook-deliveries/?{query}")

        assert len(answer.json()["results"]) == count

    def test_a_filter_that_is_not_an_id_is_invalid(self, admin, delivered_to):
        assert admin.get("/api/v1/webhook-deliveries/?endpoint=x").status_code == 400

    def test_costs_the_same_queries_for_one_row_and_for_many(
        self, acme, admin, delivered_to, django_assert_max_num_queries
    ):
        for n in range(3, 20):
            emit_incident(acme, sequence=n)

        with django_assert_max_num_queries(8):
            assert len(admin.get("/api/v1/webhook-deliveries/").json()["results"]) == 19

    def test_resends(self, admin, delivered_to, server):
        row = admin.get("/api/v1/webhook-deliveries/?state=delivered").json()["results"][0]
        resend = f"/api/v1/webhook-deliveries/{row['id']}/resend/"

        assert admin.post(resend).json()["state"] == "pending"
        assert admin.post(resend).json()["state"] == "pending"
        assert deliver(delivered_to) == 2  # this one and the one that waited
        assert len(server.requests) == 3

    def test_dead_letters_are_resent_by_filter(self, admin, acme, delivered_to):
        with acting_in(acme):
            Delivery.objects.update(
                state="dead", dead_reason="exhausted", dead_at=clock.now(), next_attempt_at=None
            )
        path = "/api/v1/webhook-dead-letters/"
        assert len(admin.get(path).json()["results"]) == 2

        one = admin.post(f"{path}resend/", {"event_type": "incident.closed"})
        rest = admin.post(f"{path}resend/", {})

        assert one.json() == {"resent": 1, "skipped": 0}
        assert rest.json() == {"resent": 1, "skipped": 0}
        assert deliver(delivered_to) == 2
