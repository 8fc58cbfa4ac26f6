"""Open sessions: listed for their user, ended by them or an admin, with immediate effect."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from apps.accounts.models import Membership, OpenSession, User
from apps.accounts.services import issue_token
from apps.accounts.sessions import device_of
from apps.audit.models import PlatformRecord, Record
from apps.authorization.choices import Role
from apps.tenancy import acting_in
from tests.accounts.test_second_factor import first_step, is_in
from tests.clients import WHO_TESTS, bearer, problem
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
SESSIONS = "/api/v1/sessions/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def browser(user, **more) -> Client:
    return first_step(user, Client(headers={"User-Agent": FIREFOX}, **more))


def rows(client: Client) -> list[dict]:
    return client.get(SESSIONS).json()["results"]


class TestOwn:
    def test_are_listed_with_device_and_address(self, acme_noc):
        client = browser(acme_noc, REMOTE_ADDR="192.0.2.7")

        (row,) = rows(client)

        assert (row["device"], row["address"], row["method"], row["is_current"]) == (
            "Firefox, Linux",
            "192.0.2.7",
            "password",
            True,
        )

    def test_those_of_other_users_are_not_listed(self, acme_noc, acme_admin):
        browser(acme_admin)

        assert len(rows(browser(acme_noc))) == 1

    def test_one_is_ended_at_once(self, acme_noc):
        here, there = browser(acme_noc), browser(acme_noc)
        (other,) = [row for row in rows(here) if not row["is_current"]]

        assert here.delete(f"{SESSIONS}{other['id']}/").status_code == 204

        assert is_in(here)
        assert not is_in(there)

    def test_all_others_are_ended_at_once(self, acme_noc):
        here, others = browser(acme_noc), [browser(acme_noc) for _ in range(3)]

        assert here.post(f"{SESSIONS}end-others/").status_code == 204

        assert is_in(here)
        assert not any(is_in(other) for other in others)
        assert PlatformRecord.objects.filter(action="session.ended").latest("sequence").detail == {
            "count": 3
        }

    def test_of_another_user_cannot_be_ended(self, acme_noc, acme_admin):
        theirs = browser(acme_admin)
        opened = OpenSession.objects.get(user=acme_admin)

        assert browser(acme_noc).delete(f"{SESSIONS}{opened.pk}/").status_code == 404
        assert browser(acme_noc).post(f"/account/sessions/{opened.pk}/end/").status_code == 404
        assert is_in(theirs)

    def test_are_gone_after_signing_out(self, acme_noc):
        client = browser(acme_noc)
        client.post("/sign-out/")

        assert not OpenSession.objects.exists()

    def test_a_stolen_key_is_invalid_after_signing_out(self, acme_noc):
        client, thief = browser(acme_noc), Client()
        thief.cookies["sessionid"] = client.session.session_key
        assert is_in(thief)
        client.post("/sign-out/")

        assert not is_in(thief)

    def test_a_scoped_token_cannot_end_sessions(self, acme, acme_noc):
        client = browser(acme_noc)
        _, text = issue_token(
            tenant=acme, user=acme_noc, name="x", scopes=["incidents.view"], **WHO_TESTS
        )
        program = Client(headers={"Authorization": f"Bearer {text}"})

        assert problem(program.post(f"{SESSIONS}end-others/")) == (403, "forbidden")
        assert is_in(client)

    def test_an_unscoped_token_ends_all(self, acme, acme_noc):
        client = browser(acme_noc)

        assert bearer(acme, acme_noc).post(f"{SESSIONS}end-others/").status_code == 204
        assert not is_in(client)

    def test_last_seen_is_updated_once_a_minute(self, acme_noc, time_machine):
        client = browser(acme_noc)
        client.get("/api/v1/me/")
        OpenSession.objects.update(last_seen_at="2020-01-01T00:00:00Z")

        client.get("/api/v1/me/")
        assert OpenSession.objects.get().last_seen_at.year == 2020
        assert OpenSession.objects.get().tenant.slug == "acme"

    def test_the_page_ends_them_too(self, acme_noc):
        here, there = browser(acme_noc), browser(acme_noc)
        here.post("/account/sessions/end-others/")

        assert is_in(here)
        assert not is_in(there)


class TestAdmin:
    def test_ends_sessions_of_a_member(self, acme, acme_admin, acme_noc):
        theirs, admin = browser(acme_noc), browser(acme_admin)
        member = Membership.objects.get(user=acme_noc)

        answer = admin.post(f"/api/v1/memberships/{member.pk}/end_sessions/")

        assert answer.status_code == 204
        assert not is_in(theirs)
        assert is_in(admin)
        with acting_in(acme):
            assert Record.objects.filter(action="member.sessions_ended").count() == 1

    def test_does_not_end_sessions_in_another_tenant(self, globex, acme_admin, acme_noc):
        theirs, admin = browser(acme_noc), browser(acme_admin)
        Membership.objects.create(tenant=globex, user=acme_noc, role=Role.NOC)
        member = Membership.objects.get(user=acme_noc, tenant__slug="acme")
        OpenSession.objects.filter(user=acme_noc).update(tenant=globex)

        admin.post(f"/api/v1/memberships/{member.pk}/end_sessions/")

        assert is_in(theirs)

    def test_requires_the_permission(self, acme_noc, acme_readonly):
        member = Membership.objects.get(user=acme_readonly)

        answer = browser(acme_noc).post(f"/api/v1/memberships/{member.pk}/end_sessions/")

        assert problem(answer) == (403, "permission_denied")


class TestNextRequest:
    def test_a_removed_membership_takes_effect(self, acme_admin, acme_noc):
        client = browser(acme_noc)
        Membership.objects.filter(user=acme_noc).delete()

        assert not is_in(client)
        assert client.get("/").status_code == 403

    def test_a_lowered_role_takes_effect(self, acme_admin):
        client = browser(acme_admin)
        assert client.post("/api/v1/tokens/", {"name": "x"}, "application/json").status_code == 201
        Membership.objects.filter(user=acme_admin).update(role=Role.READONLY)

        answer = client.post("/api/v1/tokens/", {"name": "x"}, "application/json")

        assert problem(answer) == (403, "permission_denied")

    def test_a_deactivated_user_loses_access(self, acme_noc):
        client = browser(acme_noc)
        User.objects.filter(pk=acme_noc.pk).update(is_active=False)

        assert not is_in(client)

    def test_a_suspended_tenant_loses_access(self, acme, acme_noc):
        client = browser(acme_noc)
        type(acme).objects.filter(pk=acme.pk).update(is_active=False)

        assert not is_in(client)


class TestPassword:
    NEW = "a-much-better-battery"

    def change(self, client: Client, current: str = PASSWORD, new: str = NEW, confirm: str = ""):
        body = {"current": current, "password": new, "password_confirm": confirm or new}
        return client.post("/account/password/", body)

    def test_change_ends_other_sessions(self, acme_noc):
        here, there = browser(acme_noc), browser(acme_noc)

        assert self.change(here).status_code == 200

        assert is_in(here)
        assert not is_in(there)
        assert [row["is_current"] for row in rows(here)] == [True]
        assert (
            Client().post("/sign-in/", {"email": acme_noc.email, "password": self.NEW}).status_code
            == 302
        )
        assert Session.objects.count() == 2

    @pytest.mark.parametrize(
        ("current", "new", "password_confirm"),
        [
            ("wrong", NEW, ""),
            (PASSWORD, "short", ""),
            (PASSWORD, "password1234", ""),
            (PASSWORD, NEW, "another"),
            (PASSWORD, "", ""),
            (PASSWORD, "noc@acme.example", ""),
        ],
    )
    def test_is_unchanged_when_the_form_is_invalid(self, acme_noc, current, new, password_confirm):
        client = browser(acme_noc)

        assert self.change(client, current, new, password_confirm).status_code == 422
        acme_noc.refresh_from_db()
        assert acme_noc.check_password(PASSWORD)

    def test_guessing_the_current_one_is_limited(self, acme_noc):
        client = browser(acme_noc)

        statuses = [self.change(client, "wrong").status_code for _ in range(11)]

        assert statuses == [422] * 10 + [429]


def test_the_page_needs_no_tenant(db):
    user = User.objects.create_user("alone@nowhere.example", PASSWORD)

    assert browser(user).get("/account/").status_code == 200


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (FIREFOX, "Firefox, Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Version/18.0 Safari/604.1", "Safari, iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/141.0 Safari/537.36", "Chrome, Linux"),
        ("curl/8.5.0", "curl"),
        ("<script>" * 500, "?"),
        ("", "?"),
    ],
)
def test_browser_display_name(agent, device):
    assert device_of(agent) == device
