"""Held logins on the pages: what a person reads before they decide, and deciding."""

import pytest
from django.test import Client

from apps.agents.models import Agent
from apps.agents.services import record_heartbeat
from apps.inventory import services as inventory
from apps.inventory.destinations import login_status
from apps.inventory.models import Device, LoginApproval
from apps.tenancy import acting_in
from tests.agents.factories import AT, sealing_key
from tests.agents.test_logins import (  # noqa: F401  (the fixture)
    CHANGES,
    EVIL,
    PASSWORD,
    Network,
    change,
    network,
)
from tests.clients import queries, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(acme_admin) -> Client:
    return signed_in(Client(), acme_admin)


def stale(client: Client) -> Client:
    session = client.session
    session["authenticated_at"] -= 16 * 60
    session.save()
    return client


def url(network: Network, more: str = "") -> str:  # noqa: F811
    return f"/devices/{network.device.pk}/login/{more}"


class TestDevicePage:
    def test_shows_what_was_approved_beside_what_is(self, admin, network):  # noqa: F811
        change(network, management_address=EVIL)
        page = admin.get(url(network)).content.decode()

        assert "The login is held: another address." in page
        assert EVIL in page
        assert "127.20.0.1" in page
        assert network.digest in page
        assert "crosses the network in clear" in page

    def test_is_on_the_page_and_in_the_list(self, admin, network):  # noqa: F811
        assert "Login held" not in admin.get("/devices/").content.decode()
        change(network, management_address=EVIL)

        assert "Login held" in admin.get("/devices/").content.decode()
        assert url(network) in admin.get(f"/devices/{network.device.pk}/").content.decode()

    def test_approves_what_it_showed(self, admin, acme, network):  # noqa: F811
        change(network, management_address=EVIL)
        answer = admin.post(url(network, "decide/"), {"destination": network.digest})

        assert answer.status_code == 302
        with acting_in(acme):
            assert network.passwords() == [PASSWORD]

    def test_refuses_what_has_changed_since(self, admin, acme, network):  # noqa: F811
        change(network, management_address="198.51.100.1")
        shown = network.digest
        change(network, management_address=EVIL)
        answer = admin.post(
            url(network, "decide/"), {"destination": shown}, headers={"HX-Request": "true"}
        )

        assert "some devices have changed since" in answer.content.decode()
        with acting_in(acme):
            assert network.passwords() == []

    def test_asks_who_it_is(self, admin, acme, network):  # noqa: F811
        change(network, management_address=EVIL)
        answer = stale(admin).post(url(network, "decide/"), {"destination": network.digest})

        assert answer["Location"].startswith("/account/confirm/")
        with acting_in(acme):
            assert network.passwords() == []

    def test_an_operator_reads_and_does_not_decide(self, acme, acme_noc, network):  # noqa: F811
        change(network, management_address=EVIL)
        noc = signed_in(Client(), acme_noc)

        assert "Approve destination" not in noc.get(url(network)).content.decode()
        assert noc.post(url(network, "decide/"), {"destination": network.digest}).status_code == 403
        assert noc.get("/logins/").status_code == 403

    def test_accepts_the_certificate_that_it_showed(self, admin, acme, network):  # noqa: F811
        LoginApproval.objects.update(certificate="a" * 64, presented_certificate="b" * 64)
        page = admin.get(url(network)).content.decode()
        assert "a" * 64 in page
        assert "b" * 64 in page
        admin.post(url(network, "decide/"), {"certificate": "b" * 64})

        with acting_in(acme):
            assert LoginApproval.objects.get().certificate == "b" * 64


class TestMany:
    def make(self, network, number: int) -> list[Device]:  # noqa: F811
        return [
            inventory.create_device(
                name=f"new{n}", site=network.device.site, management_address=f"198.51.100.{n}",
                credential_set=network.login, actor=CHANGES, at=AT,
            )
            for n in range(1, number + 1)
        ]  # fmt: skip

    def test_are_approved_as_they_were_shown(self, admin, acme, network):  # noqa: F811
        devices = self.make(network, 12)
        page = admin.get("/logins/").content.decode()
        chosen = [f"{row.pk}:{login_status(row).destination.digest}" for row in devices]
        assert all(text in page for text in chosen)
        assert page.count("checked") == 0, "nobody has read them yet"
        assert admin.get("/logins/?all=1").content.decode().count("checked") == 12

        answer = admin.post("/logins/approve/", {"chosen": chosen})

        assert answer["Location"] == "/logins/"
        assert "No login awaits approval" in admin.get("/logins/").content.decode()
        with acting_in(acme):
            assert len(network.passwords()) == 13

    def test_all_or_none(self, admin, acme, network):  # noqa: F811
        devices = self.make(network, 3)
        chosen = [f"{row.pk}:{login_status(row).destination.digest}" for row in devices]
        change(network, management_address=EVIL)
        inventory.update_device(
            device=devices[0], changes={"management_address": EVIL}, actor=CHANGES, at=AT
        )
        answer = admin.post("/logins/approve/", {"chosen": chosen})

        assert answer.status_code == 409
        with acting_in(acme):
            assert network.passwords() == []

    @pytest.mark.parametrize("junk", ["", "x", "\x00", "0" * 36 + ":" + "0" * 64, ":" * 101])
    def test_junk_approves_nothing(self, admin, network, junk):  # noqa: F811
        self.make(network, 1)
        answer = admin.post("/logins/approve/", {"chosen": [junk]})

        assert answer.status_code in {302, 409}
        assert LoginApproval.objects.count() == 1

    def test_cost_the_same_for_one_and_many(self, admin, network):  # noqa: F811
        self.make(network, 1)
        admin.get("/logins/")
        one = queries(lambda: admin.get("/logins/"))
        inventory.delete_device(device=Device.objects.get(name="new1"), actor=CHANGES, at=AT)
        self.make(network, 20)

        assert queries(lambda: admin.get("/logins/")) == one


def test_an_agents_host_is_approved_on_its_page(admin, acme, network):  # noqa: F811
    key, public = sealing_key()
    record_heartbeat(agent_id=network.agent.id, sealing_public_key=public, at=AT)
    agent = Agent.objects.get(pk=network.agent.pk)
    page = admin.get(f"/agents/{agent.pk}/enroll/").content.decode()
    assert agent.host_key in page
    assert f"/agents/{agent.pk}/enroll/" in admin.get(url(network)).content.decode()

    admin.post(f"/agents/{agent.pk}/approve-host/", {"host_key": agent.host_key})

    with acting_in(acme):
        assert network.passwords(key=key) == [PASSWORD]
