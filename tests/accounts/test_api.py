import pytest
from rest_framework.test import APIClient

from apps.accounts import services
from apps.authorization.actors import Actor
from apps.core import clock
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def bearer(tenant, user) -> APIClient:
    _, text = services.issue_token(
        tenant=tenant, user=user, name="test", actor=Actor.system("test"), at=clock.now()
    )
    return APIClient(headers={"Authorization": f"Bearer {text}"})


class TestMe:
    def test_returns_user_and_tenant(self, acme, acme_noc):
        answer = bearer(acme, acme_noc).get("/api/v1/me/")

        assert answer.status_code == 200
        assert answer.json()["tenant"]["slug"] == "acme"
        assert answer.json()["role"] == "noc"
        assert "incidents.act" in answer.json()["permissions"]

    def test_without_credentials_it_is_401_with_a_problem(self, db):
        answer = APIClient().get("/api/v1/me/")

        assert answer.status_code == 401
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "not_authenticated"

    def test_a_wrong_token_is_401(self, db):
        answer = APIClient(headers={"Authorization": "Bearer ispvm_guess"}).get("/api/v1/me/")

        assert (answer.status_code, answer.json()["code"]) == (401, "bad_token")

    def test_a_session_works_too(self, acme, acme_noc, client):
        assert client.login(username=acme_noc.email, password=PASSWORD)

        assert client.get("/api/v1/me/").status_code == 200


class TestTokens:
    def test_the_text_is_shown_once_and_works_until_revoked(self, acme, acme_admin):
        admin = bearer(acme, acme_admin)

        created = admin.post("/api/v1/tokens/", {"name": "bridge"}).json()
        program = APIClient(headers={"Authorization": f"Bearer {created['token']}"})
        assert program.get("/api/v1/me/").status_code == 200
        assert "token" not in admin.get(f"/api/v1/tokens/{created['id']}/").json()

        assert admin.delete(f"/api/v1/tokens/{created['id']}/").status_code == 204
        assert program.get("/api/v1/me/").status_code == 401

    def test_noc_cannot_create_one(self, acme, acme_noc):
        answer = bearer(acme, acme_noc).post("/api/v1/tokens/", {"name": "x"})

        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")

    def test_other_tenants_tokens_are_not_found(self, acme, acme_admin, globex, globex_admin):
        foreign, _ = services.issue_token(
            tenant=globex, user=globex_admin, name="x", actor=Actor.system("t"), at=clock.now()
        )
        admin = bearer(acme, acme_admin)

        answers = [
            admin.get(f"/api/v1/tokens/{pk}/")
            for pk in (foreign.id, "00000000-0000-4000-8000-000000000000", "nonsense")
        ]

        assert [a.status_code for a in answers] == [404, 404, 404]
        assert len({a.content for a in answers}) == 1

    def test_errors_name_their_field(self, acme, acme_admin):
        answer = bearer(acme, acme_admin).post("/api/v1/tokens/", {"days": 0})

        assert answer.status_code == 400
        assert {e["field"] for e in answer.json()["errors"]} == {"name", "days"}


class TestCredentialSets:
    def test_the_secret_is_never_returned(self, acme, acme_admin):
        admin = bearer(acme, acme_admin)
        body = {"name": "routers", "username": "mon", "secret": "hunter2hunter2"}

        created = admin.post("/api/v1/credential-sets/", body)

        assert created.status_code == 201
        assert b"hunter2" not in created.content
        assert b"hunter2" not in admin.get("/api/v1/credential-sets/").content

    def test_noc_cannot_list_them(self, acme, acme_noc):
        assert bearer(acme, acme_noc).get("/api/v1/credential-sets/").status_code == 403
