"""The page of agents."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from apps.agents import services
from apps.agents.models import Agent, AgentCertificate, QuarantinedEntity
from apps.agents.services import UnassignedItem
from apps.core import clock
from apps.tenancy import acting_in
from tests import test_list_costs as rows
from tests.agents.factories import enroll, make_agent
from tests.clients import queries
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(acme_readonly) -> Client:
    client = Client()
    assert client.login(username=acme_readonly.email, password=PASSWORD)
    client.get("/search/")  # the first request of a minute also updates the session
    return client


def shown(page: Client, **headers) -> str:
    answer = page.get(reverse("agents:list"), headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def test_explains_agents_when_there_are_none(page):
    assert "No agents yet" in shown(page)


def test_an_offline_agent_is_first_and_shows_no_buffer(page, acme):
    now = clock.now()
    with acting_in(acme):
        make_agent("near")
        make_agent("far")
        Agent.objects.update(status="active", health={"buffer_depth": 7.0})
        Agent.objects.filter(name="near").update(last_heartbeat_at=now)
        Agent.objects.filter(name="far").update(last_heartbeat_at=now - timedelta(minutes=9))

    body = shown(page)

    assert body.index(">far<") < body.index(">near<"), "offline agents are listed first"
    assert "1 agent is offline." in body
    assert "9 min ago" in body
    assert len(re.findall(r">\s*7\s*<", body)) == 1


def test_shows_quarantine_until_it_clears(page, acme):
    now = clock.now()
    with acting_in(acme):
        agent = make_agent("near")
        Agent.objects.update(status="active", last_heartbeat_at=now)
        ports = [
            UnassignedItem("interface", uuid4(), "interface.oper_up", now, 1.0),
            UnassignedItem("interface", uuid4(), "interface.oper_up", now, 0.0),
        ]
        services.quarantine_items(agent_id=agent.id, items=ports, at=now)

    body = shown(page)
    assert "Data quarantined" in body
    assert ": 2 items" in body

    with acting_in(acme):
        QuarantinedEntity.objects.update(last_seen_at=now - timedelta(seconds=61))
    assert "Data quarantined" not in shown(page)


def test_shows_a_backlog(page, acme):
    with acting_in(acme):
        make_agent("near")
        health = {"buffer_depth": 900.0, "buffer_age_seconds": 600.0}
        Agent.objects.update(status="active", last_heartbeat_at=clock.now(), health=health)

    assert "Oldest buffered sample: 10 min" in shown(page)


def test_warns_of_an_expiring_certificate(page, acme):
    now = clock.now()
    with acting_in(acme):
        enroll(make_agent("near"), at=now)
        Agent.objects.update(last_heartbeat_at=now)
    assert "Certificate expiring" not in shown(page)

    AgentCertificate.objects.update(not_after=now + timedelta(hours=5, seconds=30))

    assert "Certificate expiring" in shown(page)
    assert "5 h 0 min left" in shown(page)


def test_htmx_gets_only_the_partial(page):
    assert "<html" not in shown(page, **{"HX-Request": "true"})


def test_hides_another_tenants_agents(page, globex):
    with acting_in(globex):
        make_agent("theirs")

    assert "theirs" not in shown(page)


def test_query_count_does_not_grow(page, acme):
    with acting_in(acme):
        rows.agent(0)
    few = queries(lambda: shown(page))
    with acting_in(acme):
        for n in range(1, 20):
            rows.agent(n)

    assert queries(lambda: shown(page)) == few
