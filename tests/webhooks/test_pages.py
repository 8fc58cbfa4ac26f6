"""The ledger's pages."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.tenancy import acting_in
from apps.webhooks.models import Delivery, Endpoint
from tests.clients import queries
from tests.conftest import PASSWORD
from tests.core.http.servers import answer as scripted
from tests.webhooks.conftest import deliver, emit_incident

pytestmark = pytest.mark.django_db

LEDGER = reverse("webhooks:ledger")


def visitor(user) -> Client:
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


def test_without_receivers_it_says_what_they_are_for(acme_auditor):
    assert "No endpoints yet" in visitor(acme_auditor).get(LEDGER).content.decode()


def test_those_who_may_not_look_are_refused(acme_readonly, delivered):
    page = visitor(acme_readonly)

    assert page.get(LEDGER).status_code == 403
    assert page.get(reverse("webhooks:delivery", args=[delivered.id])).status_code == 403
    assert b"Webhooks" not in page.get("/").content


def test_a_delivery_shows_its_attempts_and_bytes(acme_noc, delivered):
    body = visitor(acme_noc).get(reverse("webhooks:delivery", args=[delivered.id])).content.decode()

    assert "Accepted" in body
    assert ">204<" in body
    assert str(delivered.event_id) in body
    assert "Resend" not in body, "the NOC looks, an administrator sends"


def test_an_administrator_sends_again(acme, acme_admin, delivered):
    page = visitor(acme_admin)
    path = reverse("webhooks:resend", args=[delivered.id])
    assert path in page.get(LEDGER).content.decode()

    first, second = page.post(path), page.post(path)

    assert (
        first["Location"] == second["Location"] == reverse("webhooks:delivery", args=[delivered.id])
    )
    with acting_in(acme):
        assert Delivery.objects.get().state == "pending"
    assert page.get(path).status_code == 405


def test_the_noc_may_not_send_again(acme_noc, delivered):
    assert (
        visitor(acme_noc).post(reverse("webhooks:resend", args=[delivered.id])).status_code == 403
    )


def test_another_tenants_deliveries_are_not_there(globex_admin, delivered):
    page = visitor(globex_admin)

    assert page.get(reverse("webhooks:delivery", args=[delivered.id])).status_code == 404
    assert page.post(reverse("webhooks:resend", args=[delivered.id])).status_code == 404
    assert "pager" not in page.get(LEDGER).content.decode()


def test_what_was_refused_waits_and_says_so(acme, acme_noc, server, make_endpoint):
    server.script = scripted("500 Broken")
    endpoint = make_endpoint(server.url)
    emit_incident(acme)
    deliver(endpoint)

    body = visitor(acme_noc).get(LEDGER, {"state": "pending"}).content.decode()

    assert "Retrying" in body
    assert "Failing" in body


@pytest.mark.parametrize("junk", ["", "x", "\x00", "x" * 3000, "99999999"])
@pytest.mark.parametrize("field", ["state", "endpoint", "page"])
def test_no_query_breaks_the_ledger(acme_noc, delivered, field, junk):
    assert visitor(acme_noc).get(LEDGER, {field: junk}).status_code == 200


def test_one_row_costs_what_twenty_cost(acme, acme_admin, delivered):
    page = visitor(acme_admin)
    page.get(LEDGER)  # the first page of a minute notes that its session is in use
    few = queries(lambda: page.get(LEDGER))
    for n in range(19):
        emit_incident(acme, sequence=n + 2)

    assert queries(lambda: page.get(LEDGER)) == few
    with acting_in(acme):
        assert Delivery.objects.count() == 20
        assert Endpoint.objects.count() == 1


def test_the_part_alone_for_htmx(acme_noc, delivered):
    for path in (LEDGER, reverse("webhooks:delivery", args=[delivered.id])):
        assert b"<html" not in visitor(acme_noc).get(path, headers={"HX-Request": "true"}).content
