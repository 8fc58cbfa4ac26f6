"""Held logins on the pages: display and approval."""

import pytest
from django.test import Client

from apps.agents.models import Agent
from apps.agents.services import record_heartbeat
from apps.inventory import services as inventory
from apps.inventory.destinations import login_status
from apps.inventory.models import Device, LoginApproval
from apps.tenancy import acting_in
from tests.agents.factories import AT, sealing_key
from tests.agents.router_logins import CHANGE_ONLY, OTHER_ADDRESS, PASSWORD, Network, change
from tests.clients import queries, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(acme_admin) -> Client:
    return signed_in(Client(), acme_admin)


def with_old_sign_in(client: Client) -> Client:
    session = client.session
    session["authenticated_at"] -= 16 * 60
    session.save()
    return client


def url(network: Network, more: str = "") -> str:
    return f"/devices/{network.device.pk}/login/{more}"


class TestDevicePage:
    def test_shows_present_and_approved_destination(self, admin, network):
        change(network, management_address=OTHER_ADDRESS)
        page = admin.get(url(network)).content.decode()

        assert "The login is held: another address." in page
        assert OTHER_ADDRESS in page
        assert "127.20.0.1" in page
        assert network.digest in page
        assert "in clear text" in page

    def test_is_shown_on_the_device_page_and_in_the_list(self, admin, network):
        assert "Login held" not in admin.get("/devices/").content.decode()
        change(network, management_address=OTHER_ADDRESS)

        assert "Login held" in admin.get("/devices/").content.decode()
        assert url(network) in admin.get(f"/devices/{network.device.pk}/").content.decode()

    def test_approves_the_shown_destination(self, admin, acme, network):
        change(network, management_address=OTHER_ADDRESS)
        answer = admin.post(url(network, "decide/"), {"destination": network.digest})

        assert answer.status_code == 302
        with acting_in(acme):
            assert network.passwords() == [PASSWORD]

    def test_refuses_a_changed_destination(self, admin, acme, network):
        change(network, management_address="198.51.100.1")
        shown = network.digest
        change(network, management_address=OTHER_ADDRESS)
        answer = admin.post(
            url(network, "decide/"), {"destination": shown}, headers={"HX-Request": "true"}
        )

        assert "some devices have changed. Reload" in answer.content.decode()
        with acting_in(acme):
            assert network.passwords() == []

    def test_needs_a_recent_sign_in(self, admin, acme, network):
        change(network, management_address=OTHER_ADDRESS)
        answer = with_old_sign_in(admin).post(
            url(network, "decide/"), {"destination": network.digest}
        )

        assert answer["Location"].startswith("/account/confirm/")
        with acting_in(acme):
            assert network.passwords() == []

    def test_an_operator_may_read_but_not_approve(self, acme, acme_noc, network):
        change(network, management_address=OTHER_ADDRESS)
        noc = signed_in(Client(), acme_noc)

        assert "Approve destination" not in noc.get(url(network)).content.decode()
        assert noc.post(url(network, "decide/"), {"destination": network.digest}).status_code == 403
        assert noc.get("/logins/").status_code == 403

    def test_accepts_the_shown_certificate(self, admin, acme, network):
        LoginApproval.objects.update(certificate="a" * 64, presented_certificate="b" * 64)
        page = admin.get(url(network)).content.decode()
        assert "a" * 64 in page
        assert "b" * 64 in page
        admin.post(url(network, "decide/"), {"certificate": "b" * 64})

        with acting_in(acme):
            assert LoginApproval.objects.get().certificate == "b" * 64


class TestList:
    def make(self, network, number: int) -> list[Device]:
        return [
            inventory.create_device(
                name=f"new{n}", site=network.device.site, management_address=f"198.51.100.{n}",
                credential_set=network.login, actor=CHANGE_ONLY, at=AT,
            )
            for n in range(1, number + 1)
        ]  # fmt: skip

    def test_approves_the_selected_rows(self, admin, acme, network):
        devices = self.make(network, 12)
        page = admin.get("/logins/").content.decode()
        selected = [f"{row.pk}:{login_status(row).destination.digest}" for row in devices]
        assert all(text in page for text in selected)
        assert page.count("checked") == 0, "nothing is preselected"
        assert admin.get("/logins/?all=1").content.decode().count("checked") == 12

        answer = admin.post("/logins/approve/", {"selected": selected})

        assert answer["Location"] == "/logins/"
        assert "No logins await approval" in admin.get("/logins/").content.decode()
        with acting_in(acme):
            assert len(network.passwords()) == 13

    def test_all_or_none(self, admin, acme, network):
        devices = self.make(network, 3)
        selected = [f"{row.pk}:{login_status(row).destination.digest}" for row in devices]
        change(network, management_address=OTHER_ADDRESS)
        inventory.update_device(
            device=devices[0],
            changes={"management_address": OTHER_ADDRESS},
            actor=CHANGE_ONLY,
            at=AT,
        )
        answer = admin.post("/logins/approve/", {"selected": selected})

        assert answer.status_code == 409
        with acting_in(acme):
            assert network.passwords() == []

    @pytest.mark.parametrize("junk", ["", "x", "\x00", "0" * 36 + ":" + "0" * 64, ":" * 101])
    def test_invalid_input_approves_nothing(self, admin, network, junk):
        self.make(network, 1)
        answer = admin.post("/logins/approve/", {"selected": [junk]})

        assert answer.status_code in {302, 409}
        assert LoginApproval.objects.count() == 1

    def test_query_count_does_not_grow(self, admin, network):
        self.make(network, 1)
        admin.get("/logins/")
        one = queries(lambda: admin.get("/logins/"))
        inventory.delete_device(device=Device.objects.get(name="new1"), actor=CHANGE_ONLY, at=AT)
        self.make(network, 20)

        assert queries(lambda: admin.get("/logins/")) == one


def test_approves_an_agents_host(admin, acme, network):
    key, public = sealing_key()
    record_heartbeat(agent_id=network.agent.id, sealing_public_key=public, at=AT)
    agent = Agent.objects.get(pk=network.agent.pk)
    page = admin.get(f"/agents/{agent.pk}/enroll/").content.decode()
    assert agent.host_key in page
    assert f"/agents/{agent.pk}/enroll/" in admin.get(url(network)).content.decode()

    admin.post(f"/agents/{agent.pk}/approve-host/", {"host_key": agent.host_key})

    with acting_in(acme):
        assert network.passwords(key=key) == [PASSWORD]
