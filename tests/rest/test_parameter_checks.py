"""Query parameters are checked for the methods that read them, HEAD as GET, and for no other."""

import pytest

from tests.clients import bearer, problem

pytestmark = pytest.mark.django_db

LISTS = ("alerts", "alert-rules", "events", "sites")


@pytest.fixture
def client(acme, acme_admin):
    return bearer(acme, acme_admin)


@pytest.mark.parametrize("query", ["nonsense=1", "ordering=%00", "%00=1"])
@pytest.mark.parametrize("name", LISTS)
def test_head_refuses_what_get_refuses(client, name, query):
    answer = client.get(f"/api/v1/{name}/?{query}")

    assert problem(answer) == (400, "invalid")
    assert client.head(f"/api/v1/{name}/?{query}").status_code == 400


@pytest.mark.parametrize("query", ["nonsense=1", "ordering=%00", "%00=1"])
@pytest.mark.parametrize("name", LISTS)
def test_methods_that_read_none_ignore_them(client, name, query):
    assert client.options(f"/api/v1/{name}/?{query}").status_code == 204
    assert client.generic("TRACE", f"/api/v1/{name}/?{query}").status_code == 405
