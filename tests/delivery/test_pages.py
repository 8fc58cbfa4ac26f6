"""Pages of the delivery log."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.delivery.models import Delivery
from apps.tenancy import acting_in
from apps.webhooks.models import Endpoint
from tests.clients import queries
from tests.conftest import PASSWORD
from tests.core.http.servers import answer as scripted
from tests.webhooks.conftest import deliver, emit_incident

pytestmark = pytest.mark.django_db

DELIVERIES = reverse("delivery:deliveries")


def client_of(user) -> Client:
    client = Client()
    assert client.login(username=user.email, password=PASSWORD)
    return client


@pytest.fixture
def delivered(acme, server, make_endpoint) -> Delivery:
    endpoint = make_endpoint(server.url)
    emit_incident(acme)
    deliver(endpoint)
    with acting_in(acme):
        return Delivery.objects.get()


def test_without_endpoints_it_explains_webhooks(acme_auditor):
    assert "No endpoints yet" in client_of(acme_auditor).get(DELIVERIES).content.decode()


def test_users_without_permission_are_refused(acme_readonly, delivered):
    page = client_of(acme_readonly)

    assert page.get(DELIVERIES).status_code == 403
    assert page.get(reverse("delivery:delivery", args=[delivered.id])).status_code == 403
    assert b"Webhooks" not in page.get("/").content


def test_a_delivery_shows_its_attempts_and_bytes(acme_noc, delivered):
    body = (
        client_of(acme_noc).get(reverse("delivery:delivery", args=[delivered.id])).content.decode()
    )

    assert "Accepted" in body
    assert ">204<" in body
    assert str(delivered.event_id) in body
    assert "Resend" not in body, "the NOC may view but not resend"


def test_an_administrator_resends(acme, acme_admin, delivered):
    page = client_of(acme_admin)
    path = reverse("delivery:resend", args=[delivered.id])
    assert path in page.get(DELIVERIES).content.decode()

    first, second = page.post(path), page.post(path)

    assert (
        first["Location"] == second["Location"] == reverse("delivery:delivery", args=[delivered.id])
    )
    with acting_in(acme):
        assert Delivery.objects.get().state == "pending"
    assert page.get(path).status_code == 405


def test_the_noc_may_not_resend(acme_noc, delivered):
    assert (
        client_of(acme_noc).post(reverse("delivery:resend", args=[delivered.id])).status_code == 403
    )


def test_another_tenants_deliveries_are_not_found(globex_admin, delivered):
    page = client_of(globex_admin)

    assert page.get(reverse("delivery:delivery", args=[delivered.id])).status_code == 404
    assert page.post(reverse("delivery:resend", args=[delivered.id])).status_code == 404
    assert "pager" not in page.get(DELIVERIES).content.decode()


def test_a_rejected_delivery_is_shown_as_retrying(acme, acme_noc, server, make_endpoint):
    server.script = scripted("500 Broken")
    endpoint = make_endpoint(server.url)
    emit_incident(acme)
    deliver(endpoint)

    body = client_of(acme_noc).get(DELIVERIES, {"state": "pending"}).content.decode()

    assert "Retrying" in body
    assert "Failing" in body


@pytest.mark.parametrize("junk", ["", "x", "\x00", "x" * 3000, "99999999"])
@pytest.mark.parametrize("field", ["state", "endpoint", "page"])
def test_no_query_breaks_the_delivery_log(acme_noc, delivered, field, junk):
    assert client_of(acme_noc).get(DELIVERIES, {field: junk}).status_code == 200


def test_one_row_and_twenty_cost_the_same_queries(acme, acme_admin, delivered):
    page = client_of(acme_admin)
    page.get(DELIVERIES)  # the first request of a minute updates its session's last use
    few = queries(lambda: page.get(DELIVERIES))
    for n in range(19):
        emit_incident(acme, sequence=n + 2)

    assert queries(lambda: page.get(DELIVERIES)) == few
    with acting_in(acme):
        assert Delivery.objects.count() == 20
        assert Endpoint.objects.count() == 1


def test_htmx_gets_the_partial(acme_noc, delivered):
    for path in (DELIVERIES, reverse("delivery:delivery", args=[delivered.id])):
        assert b"<html" not in client_of(acme_noc).get(path, headers={"HX-Request": "true"}).content
