"""An error that nobody caught: the caller learns whether to ask again."""

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
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
        assert b"Try again" in answer.content


def test_a_fault_of_ours_stays_a_500(visitor):
    with fail_queries_with(ZeroDivisionError()):
        assert visitor.get("/incidents/").status_code == 500


class TestFaultPages:
    """Each says its number, looks like the console, and needs nothing that may be away."""

    @pytest.mark.parametrize(
        ("error", "status"), [(ZeroDivisionError(), 500), (OperationalError("recovery mode"), 503)]
    )
    def test_is_styled_and_names_the_line_of_the_log(self, visitor, error, status):
        with fail_queries_with(error):
            answer = visitor.get("/incidents/", headers={"X-Request-ID": "the-line-12345"})

        page = answer.content.decode()
        assert answer.status_code == status
        assert f'<bdi dir="ltr">{status}</bdi>' in page
        assert "css/tokens.css" in page
        assert "the-line-12345" in page

    def test_is_plain_where_the_style_sheets_are_away_too(self, visitor, monkeypatch):
        def is_not_collected(name):
            raise ValueError(name)

        monkeypatch.setattr(staticfiles_storage, "url", is_not_collected)
        with fail_queries_with(ZeroDivisionError()):
            answer = visitor.get("/incidents/")

        assert answer.status_code == 500
        assert answer["Content-Type"].startswith("text/plain")

    def test_a_path_that_there_is_not(self, visitor):
        answer = visitor.get("/there-is-no-such-page/")

        assert answer.status_code == 404
        assert "css/error-page.css" in answer.content.decode()

    def test_a_form_without_its_token(self, acme_noc):
        careful = Client(enforce_csrf_checks=True)
        careful.force_login(acme_noc)

        answer = careful.post("/sign-out/")

        assert answer.status_code == 403
        assert "The form has expired" in answer.content.decode()

    def test_is_in_the_language_of_the_request(self, visitor):
        with fail_queries_with(ZeroDivisionError()):
            answer = visitor.get("/incidents/", headers={"accept-language": "ar"})

        assert 'dir="rtl"' in answer.content.decode()
