"""An error that nobody caught: the caller learns whether to ask again."""

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor(acme_noc) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(acme_noc)
    return client


def fail_queries_with(error: Exception):
    def wrapper(execute, sql, params, many, context):
        raise error

    return connection.execute_wrapper(wrapper)


@pytest.mark.parametrize("error", [OperationalError("recovery mode"), InterfaceError("closed")])
class TestDatabaseAway:
    def test_rest_answers_503_as_a_problem(self, visitor, error):
        with fail_queries_with(error):
            answer = visitor.get("/api/v1/incidents/")

        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "unavailable"
        assert str(error) not in answer.content.decode()

    def test_pages_answer_503(self, visitor, error):
        with fail_queries_with(error):
            answer = visitor.get("/incidents/")

        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
        assert b"try again" in answer.content


def test_a_fault_of_ours_stays_a_500(visitor):
    with fail_queries_with(ZeroDivisionError()):
        assert visitor.get("/incidents/").status_code == 500
