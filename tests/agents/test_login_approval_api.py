"""Approving router logins over REST and in the Django admin."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.accounts.models import BreakGlass
from apps.accounts.selectors import access_for_token
from apps.accounts.services import issue_token
from apps.audit.models import Record
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.tenancy import acting_in
from tests.accounts.operators import Caller, make_operator
from tests.agents.factories import ACTOR
from tests.agents.router_logins import OTHER_ADDRESS, PASSWORD
from tests.clients import problem, signed_in
from tests.inventory.factories import make_device

pytestmark = pytest.mark.django_db


def token_client(tenant: Any, user: Any, *scopes: str | None) -> APIClient:
    requested = None if scopes == (None,) else list(scopes)
    _, text = issue_token(
        tenant=tenant, user=user, name="t", scopes=requested, actor=ACTOR, at=clock.now()
    )
    return Caller(raise_request_exception=False, headers={"Authorization": f"Bearer {text}"})


class TestOverRest:
    CHANGE_AND_READ = ("inventory.change", "inventory.view")
    MANAGE = (
        *CHANGE_AND_READ,
        "credentials.manage",
        "agents.manage",
        "agents.view",
        "diagnostics.run",
    )

    def move(self, client, network, address: str = OTHER_ADDRESS) -> dict:
        url = f"/api/v1/devices/{network.device.pk}/"
        answer = client.patch(url, {"management_address": address}, format="json")
        assert answer.status_code == 200, answer.content
        return answer.json()

    @pytest.mark.parametrize(
        "scopes", [CHANGE_AND_READ, MANAGE, (None,)], ids=["change", "manage", "all"]
    )
    def test_a_token_without_the_scope_holds_the_login(self, network, acme, acme_admin, scopes):
        client = token_client(acme, acme_admin, *scopes)

        assert self.move(client, network)["login_state"] == "held"
        assert network.passwords() == []

    @pytest.mark.parametrize("scopes", [MANAGE, (None,)], ids=["manage", "all"])
    def test_a_token_without_the_scope_cannot_approve(self, network, acme, acme_admin, scopes):
        client = token_client(acme, acme_admin, *scopes)
        self.move(client, network)
        url = f"/api/v1/devices/{network.device.pk}/"

        one = client.post(f"{url}approve-login/", {"destination": network.digest}, format="json")
        body = {"devices": [{"device": str(network.device.pk), "destination": network.digest}]}
        many = client.post("/api/v1/devices/approve-logins/", body, format="json")
        host = client.post(
            f"/api/v1/agents/{network.agent.pk}/approve-host/",
            {"host_key": network.agent.host_key},
            format="json",
        )

        for answer in (one, many, host):
            assert problem(answer) == (403, "login_approval_refused")
        assert network.passwords() == []

    def test_a_token_cannot_issue_the_scope(self, acme, acme_admin, in_acme):
        for scopes in ((None,), ("tokens.manage", "logins.approve", "credentials.manage")):
            client = token_client(acme, acme_admin, *scopes)
            body = {"name": "more", "scopes": ["logins.approve", "credentials.manage"]}
            assert (
                problem(client.post("/api/v1/tokens/", body, format="json"))[1] == "scope_not_held"
            )

    def test_a_token_with_the_scope_approves(self, network, acme, acme_admin):
        client = token_client(acme, acme_admin, *self.MANAGE, "logins.approve")

        assert self.move(client, network)["login_state"] == "approved"
        assert network.passwords() == [PASSWORD]

    def session(self, user: Any, *, minutes_ago: int = 0) -> APIClient:
        client = Caller(raise_request_exception=False)
        signed_in(client, user)
        session = client.session
        session["authenticated_at"] -= minutes_ago * 60
        session.save()
        return client

    def test_a_recent_sign_in_approves(self, network, acme, acme_admin):
        client = self.session(acme_admin)

        assert self.move(client, network)["login_state"] == "approved"
        assert network.passwords() == [PASSWORD]

    def test_an_old_sign_in_holds_and_must_reauthenticate(self, network, acme, acme_admin):
        client = self.session(acme_admin, minutes_ago=16)
        held = self.move(client, network)
        answer = client.post(
            f"/api/v1/devices/{network.device.pk}/approve-login/", {"destination": network.digest}
        )

        assert held["login_state"] == "held"
        assert problem(answer) == (403, "reauthentication_required")
        assert network.passwords() == []

    def test_a_second_user_approves(self, network, acme, acme_admin):
        self.move(token_client(acme, acme_admin, *self.CHANGE_AND_READ), network)
        client = self.session(acme_admin)

        (waiting,) = client.get("/api/v1/devices/held-logins/").json()["results"]
        shown = client.get(f"/api/v1/devices/{network.device.pk}/login/").json()
        assert waiting == shown
        assert shown["reasons"] == ["address"]
        assert (shown["current"]["address"], shown["approved"]["address"]) == (
            OTHER_ADDRESS,
            "127.20.0.1",
        )
        body = {"devices": [{"device": shown["device"], "destination": shown["destination"]}]}
        answer = client.post("/api/v1/devices/approve-logins/", body, format="json")

        assert answer.status_code == 200, answer.content
        assert answer.json()["results"][0]["login_state"] == "approved"
        assert client.get("/api/v1/devices/held-logins/").json()["results"] == []
        assert network.passwords() == [PASSWORD]

    def test_an_access_session_holds_the_login(self, network, acme, acme_admin):
        client = Caller(raise_request_exception=False, headers={"X-ISPVM-Tenant": str(acme.pk)})
        signed_in(client, make_operator())
        reason = "ticket 4711: look at the core router"
        url = "/api/v1/platform/access-sessions/"
        client.post(url, {"tenant": str(acme.pk), "reason": reason}, format="json")

        assert self.move(client, network)["login_state"] == "held"
        assert network.passwords() == []
        url = f"/api/v1/devices/{network.device.pk}/approve-login/"
        answer = client.post(url, {"destination": network.digest}, format="json")
        assert answer.status_code == 403
        with acting_in(acme):
            access_session = BreakGlass.objects.get()
            held = Record.objects.get(action="device.login_held")
        assert held.actor["access_session"] == str(access_session.pk)

    def test_a_list_shows_the_login_state(self, network, acme, acme_admin):
        client = token_client(acme, acme_admin, *self.CHANGE_AND_READ)
        self.move(client, network)
        with acting_in(acme):
            for n in range(5):
                make_device(f"more{n}", credential_set=network.login)

        states = {
            row["name"]: row["login_state"]
            for row in client.get("/api/v1/devices/").json()["results"]
        }

        assert states.pop("cr1") == "held"
        assert set(states.values()) == {"approved"}

    def test_the_admin_holds_with_an_old_sign_in(self, network, acme, acme_admin, client):
        signed_in(client, acme_admin)
        session = client.session
        session["authenticated_at"] -= 16 * 60
        session.save()
        url = f"/admin/inventory/device/{network.device.pk}/change/"
        form = {
            "name": "cr1", "site": str(network.device.site_id), "role": "core",
            "management_address": OTHER_ADDRESS, "api_port": "8728", "polling_profile": "{}", "tags": "[]",
            "credential_set": str(network.login.pk), "collector": "routeros",
        }  # fmt: skip

        answer = client.post(url, form, follow=True)

        assert "The login is held" in answer.content.decode()
        with acting_in(acme):
            assert network.refresh().management_address == OTHER_ADDRESS
            assert network.passwords() == []


def test_a_token_does_not_approve_by_default(acme, acme_admin, in_acme):
    _, text = issue_token(tenant=acme, user=acme_admin, name="t", actor=ACTOR, at=clock.now())
    access = access_for_token(text, clock.now())

    assert access is not None
    assert not access.may(Permission.LOGINS_APPROVE)
    assert not access.actor.approves_logins
