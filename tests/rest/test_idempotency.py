"""A POST that is sent again with its key is done once."""

import threading

import pytest
from django.db import connection

from apps.accounts.models import ApiToken
from apps.core import clock
from apps.inventory.models import Site
from apps.rest.models import IDEMPOTENCY_RETENTION, IdempotencyRecord
from apps.tenancy import acting_in
from tests.clients import bearer, problem

URL = "/api/v1/sites/"
KEY = {"Idempotency-Key": "order-1"}


@pytest.fixture
def admin(acme, acme_admin):
    return bearer(acme, acme_admin)


def sites(tenant) -> int:
    with acting_in(tenant):
        return Site.objects.count()


@pytest.mark.django_db
class TestKey:
    def test_the_second_response_is_the_first(self, acme, admin):
        first, second = (admin.post(URL, {"name": "hub"}, headers=KEY) for _ in range(2))

        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json() == second.json()
        assert "Idempotency-Replayed" not in first
        assert second["Idempotency-Replayed"] == "true"
        assert sites(acme) == 1

    def test_another_body_is_refused(self, acme, admin):
        admin.post(URL, {"name": "hub"}, headers=KEY)

        other = admin.post(URL, {"name": "pop"}, headers=KEY)

        assert problem(other) == (422, "idempotency_key_reused")
        assert sites(acme) == 1

    def test_another_key_or_none_is_another_request(self, admin):
        admin.post(URL, {"name": "hub"}, headers=KEY)

        for headers in ({"Idempotency-Key": "order-2"}, {}):
            answer = admin.post(URL, {"name": "hub"}, headers=headers)
            assert problem(answer) == (409, "name_taken")

    def test_another_path_or_caller_is_another_request(self, acme, acme_admin, admin):
        admin.post(URL, {"name": "hub"}, headers=KEY)

        token = admin.post("/api/v1/tokens/", {"name": "hub"}, headers=KEY)
        other = bearer(acme, acme_admin).post(URL, {"name": "hub"}, headers=KEY)

        assert token.status_code == 201
        assert problem(other) == (409, "name_taken")

    def test_another_tenants_key_is_its_own(self, admin, globex, globex_admin):
        admin.post(URL, {"name": "hub"}, headers=KEY)

        answer = bearer(globex, globex_admin).post(URL, {"name": "pop"}, headers=KEY)

        assert answer.status_code == 201

    def test_an_error_is_not_stored(self, acme, admin):
        assert admin.post(URL, {"name": ""}, headers=KEY).status_code == 400

        assert admin.post(URL, {"name": "hub"}, headers=KEY).status_code == 201

    def test_a_secret_is_not_stored(self, acme, admin):
        first, second = (
            admin.post("/api/v1/tokens/", {"name": "x"}, headers=KEY) for _ in range(2)
        )

        assert second.json() == {k: v for k, v in first.json().items() if k != "token"}
        with acting_in(acme):
            (record,) = IdempotencyRecord.objects.all()
        assert first.json()["token"] not in str(record.body)
        assert ApiToken.objects.filter(name="x").count() == 1

    @pytest.mark.parametrize("key", ["", "x" * 201, "ключ", "a\tb"])
    def test_an_invalid_key_is_refused(self, acme, admin, key):
        answer = admin.post(URL, {"name": "hub"}, headers={"Idempotency-Key": key})

        assert problem(answer) == (400, "idempotency_key_invalid")
        assert sites(acme) == 0

    def test_without_the_permission_the_stored_response_is_refused(self, acme, acme_admin, admin):
        admin.post(URL, {"name": "hub"}, headers=KEY)
        acme_admin.memberships.update(role="readonly")

        again = admin.post(URL, {"name": "hub"}, headers=KEY)

        assert problem(again) == (403, "permission_denied")

    def test_after_a_day_it_is_another_request(self, acme, admin):
        admin.post(URL, {"name": "hub"}, headers=KEY)
        with acting_in(acme):
            IdempotencyRecord.objects.update(created_at=clock.now() - IDEMPOTENCY_RETENTION)

        answer = admin.post(URL, {"name": "hub"}, headers=KEY)

        assert problem(answer) == (409, "name_taken")


@pytest.mark.django_db(transaction=True)
def test_of_concurrent_requests_one_is_done(acme, admin):
    answers = []

    def send() -> None:
        answer = admin.post(URL, {"name": "hub"}, headers=KEY)
        answers.append((answer.status_code, answer.content))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {status for status, _ in answers} == {201}
    assert sites(acme) == 1
