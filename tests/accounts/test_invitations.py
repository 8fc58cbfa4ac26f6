"""Invitation links: shown once, used once, for one address and one tenant."""

import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import get_user
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts import accept_invitation, invitations
from apps.accounts.errors import InvitationUnusable, SignInFirst
from apps.accounts.models import Invitation, Membership, User
from apps.accounts.services import create_user
from apps.accounts.users import end_local_account, local_account_name
from apps.audit.models import Record
from apps.core import clock
from apps.tenancy import acting_in
from tests.clients import bearer, faulty_fields, listed, problem
from tests.inventory.factories import ACTOR
from tests.supervisor.waiting import eventually

pytestmark = pytest.mark.django_db

LOCAL = "acme:new@acme.example"
NEW = {"email": "new@acme.example", "role": "noc"}
PASSWORD = "a-long-and-odd-one-7"  # a test's, not a secret


@pytest.fixture
def admin(acme, acme_admin):
    return bearer(acme, acme_admin)


def invite(admin, **fields) -> str:
    answer = admin.post("/api/v1/invitations/", {**NEW, **fields}, format="json")
    assert answer.status_code == 201, answer.content
    return answer.json()["link"]


def key_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["key"][0]


def open_link(client: Client, link: str):
    answer = client.get(link)
    assert answer["Location"] == "/invitation/", "the key is removed from the URL"
    return client.get("/invitation/")


class TestLink:
    def test_is_shown_once_and_not_stored(self, admin, acme):
        link = invite(admin)

        (row,) = listed(admin, "/api/v1/invitations/")
        assert "link" not in row
        secret = key_of(link).partition(".")[2]
        with acting_in(acme):
            stored = Invitation.objects.values().get()
            details = list(Record.objects.values_list("detail", flat=True))
        assert secret not in str(stored) + str(details)

    def test_a_repeated_post_does_not_show_it_again(self, admin):
        key = {"Idempotency-Key": "one"}
        answers = [
            admin.post("/api/v1/invitations/", NEW, format="json", headers=key) for _ in range(2)
        ]

        assert "link" in answers[0].json()
        assert "link" not in answers[1].json()
        assert answers[1].json()["id"] == answers[0].json()["id"]

    def test_creates_a_member_who_is_signed_in(self, admin, acme):
        link, client = invite(admin, is_limited=True), Client()
        assert b"Join Acme Net" in open_link(client, link).content

        answer = client.post("/invitation/", {"name": "New Body", "password": PASSWORD})

        assert answer["Location"] == "/"
        user = User.objects.get(email=LOCAL)
        assert get_user(client) == user
        assert (user.label, user.address) == ("New Body", NEW["email"])
        assert (user.local_tenant, user.email_verified_at) == (acme, None)
        member = Membership.objects.get(user=user)
        assert (member.tenant, member.role, member.is_limited) == (acme, "noc", True)
        with acting_in(acme):
            actions = list(Record.objects.order_by("sequence").values_list("action", flat=True))
        assert actions[-2:] == ["invitation.created", "invitation.accepted"]

    def test_works_once(self, admin):
        link = invite(admin)
        first, second = Client(), Client()
        open_link(first, link)
        open_link(second, link)
        first.post("/invitation/", {"password": PASSWORD})

        late = second.post("/invitation/", {"password": PASSWORD})

        assert late.status_code == 404
        assert Membership.objects.filter(user__email=LOCAL).count() == 1

    @pytest.mark.parametrize("password", ["", "short", "new@acme.example"])
    def test_a_weak_password_creates_no_account(self, admin, password):
        client = Client()
        open_link(client, invite(admin))

        answer = client.post("/invitation/", {"password": password})

        assert answer.status_code == 422
        assert not User.objects.filter(email__iendswith=NEW["email"]).exists()
        assert client.post("/invitation/", {"password": PASSWORD}).status_code == 302

    def test_is_accepted_by_the_user_with_the_verified_address(self, admin, globex_noc, acme):
        client = Client()
        link = invite(admin, email=globex_noc.email.upper(), role="readonly")
        password = globex_noc.password
        User.objects.filter(pk=globex_noc.pk).update(email_verified_at=clock.now())

        client.force_login(globex_noc)
        assert b"Accept" in open_link(client, link).content
        assert client.post("/invitation/")["Location"] == "/tenants/"

        assert b"You are a member of Acme Net now" in client.get("/tenants/").content
        here = client.get("/").wsgi_request.access.tenant.slug
        assert here == "globex", "the tenant of the session does not change"
        assert Membership.objects.get(user=globex_noc, tenant=acme).role == "readonly"
        assert User.objects.get(pk=globex_noc.pk).password == password

    def test_is_refused_to_an_account_with_an_unverified_address(self, admin, globex_noc, acme):
        client = Client()
        client.force_login(globex_noc)
        page = open_link(client, invite(admin, email=globex_noc.email))

        assert b"is not confirmed" in page.content
        assert client.post("/invitation/").status_code == 403
        assert not Membership.objects.filter(user=globex_noc, tenant=acme).exists()

    def test_for_another_address_is_refused(self, admin, globex_noc):
        client = Client()
        client.force_login(globex_noc)
        open_link(client, invite(admin))

        assert client.post("/invitation/").status_code == 403
        assert Membership.objects.filter(user=globex_noc).count() == 1


class TestUnusable:
    """All get the same response."""

    def unusable(self, key: str) -> bytes:
        client = Client()
        answer = client.get("/invitation/", {"key": key}, follow=True)
        assert answer.status_code == 404
        assert client.post("/invitation/", {"password": PASSWORD}).status_code == 404
        return answer.content

    def test_all_unusable_links_get_the_same_response(self, admin, acme, globex):
        key = key_of(invite(admin))
        tenant, _, secret = key.partition(".")
        answers = {
            self.unusable(wrong)
            for wrong in (
                f"{globex.pk.hex}.{secret}",  # the same secret in another tenant
                f"{tenant}.{secret[:-1]}",
                f"{tenant}.{secret}x",
                f"{tenant}.",
                tenant,
                f"nonsense.{secret}",
                "x" * 5000,
                "\x00.\x00",
                "٣",
            )
        }
        row = listed(admin, "/api/v1/invitations/")[0]
        assert admin.delete(f"/api/v1/invitations/{row['id']}/").status_code == 204
        answers.add(self.unusable(key))
        late = key_of(invite(admin))
        with acting_in(acme):
            Invitation.objects.update(expires_at=clock.now() - timedelta(seconds=1))
        answers.add(self.unusable(late))

        assert len(answers) == 1
        assert not User.objects.filter(email__iendswith=NEW["email"]).exists()

    def test_a_new_one_replaces_the_previous_one(self, admin):
        old, new = key_of(invite(admin)), key_of(invite(admin))

        self.unusable(old)
        assert b"Join" in Client().get("/invitation/", {"key": new}, follow=True).content

    def test_of_a_suspended_tenant(self, admin, acme):
        key = key_of(invite(admin))
        acme.is_active = False
        acme.save()

        self.unusable(key)


class TestAddress:
    @pytest.mark.parametrize("address", ["a#b@acme.example", "a#@acme.example", NEW["email"]])
    def test_of_a_local_account_is_unchanged_after_deactivation(self, acme, address):
        user = create_user(
            email=local_account_name(acme, address), password=PASSWORD, local_tenant=acme
        )
        assert user.address == address

        end_local_account(user=user, actor=ACTOR, at=clock.now())

        user.refresh_from_db()
        assert not user.is_active
        assert user.address == address


class TestLock:
    def test_of_the_tenants_audit_log_is_taken_before_the_platforms(
        self, acme, acme_admin, globex_noc, settings
    ):
        """Taking over an unverified account writes both logs, in the common lock order."""
        settings.ISPVM_MAIL_CONFIGURED = True
        # What the tenant demands of the new member is no reason to refuse them.
        acme.second_factor_roles = ["noc"]
        acme.save()
        with acting_in(acme):
            invitation, _ = invitations.invite(
                email=globex_noc.email, role="noc", is_limited=False, actor=ACTOR, at=clock.now()
            )
            key = invitations.mail_key(invitation)
        with CaptureQueriesContext(connection) as queries:
            user, _ = accept_invitation.accept_as_new(
                key=key, name="x", password=PASSWORD, at=clock.now()
            )

        locked = [
            table
            for query in queries
            for table in ("audit_head", "audit_platformhead", "accounts_user")
            if "FOR UPDATE" in query["sql"] and f'FROM "{table}"' in query["sql"]
        ]
        assert user == globex_noc
        assert user.check_password(PASSWORD)
        first = list(dict.fromkeys(locked))
        assert first == ["accounts_user", "audit_head", "audit_platformhead"]

    def test_an_account_verified_concurrently_is_not_taken_over(
        self, acme, globex_noc, settings, monkeypatch
    ):
        settings.ISPVM_MAIL_CONFIGURED = True
        with acting_in(acme):
            invitation, _ = invitations.invite(
                email=globex_noc.email, role="noc", is_limited=False, actor=ACTOR, at=clock.now()
            )
            key = invitations.mail_key(invitation)
        User.objects.filter(pk=globex_noc.pk).update(email_verified_at=clock.now())
        # As a request sees it that asked just before the proof was committed.
        monkeypatch.setattr(accept_invitation, "must_sign_in", lambda address: False)

        with pytest.raises(SignInFirst):
            accept_invitation.accept_as_new(key=key, name="x", password=PASSWORD, at=clock.now())

        assert User.objects.get(pk=globex_noc.pk).password == globex_noc.password
        assert not Membership.objects.filter(user=globex_noc, tenant=acme).exists()


class TestRest:
    def test_only_an_admin_invites(self, acme, acme_noc, acme_auditor):
        for user in (acme_noc, acme_auditor):
            assert problem(bearer(acme, user).post("/api/v1/invitations/", NEW))[0] == 403

    def test_invalid_values_are_refused(self, admin, acme_noc):
        url = "/api/v1/invitations/"

        assert faulty_fields(admin.post(url, {"email": "x", "role": "root"})) == {"email", "role"}
        assert faulty_fields(admin.post(url, {**NEW, "role": "platform"})) == {"role"}
        assert problem(admin.post(url, {**NEW, "email": acme_noc.email.upper()})) == (
            *(409, "already_member"),
        )
        limited = {**NEW, "role": "admin", "is_limited": True}
        assert problem(admin.post(url, limited)) == (422, "cannot_be_limited")

    def test_daily_limit_counts_revoked_invitations_too(self, admin, monkeypatch, time_machine):
        monkeypatch.setattr(invitations, "MAX_PER_DAY", 3)
        url = "/api/v1/invitations/"
        for n in range(3):
            invite(admin, email=f"new{n}@acme.example")
            (row,) = [row for row in listed(admin, url) if row["email"].startswith(f"new{n}")]
            assert admin.delete(f"{url}{row['id']}/").status_code == 204

        assert problem(admin.post(url, NEW)) == (409, "too_many_invitations")
        time_machine.move_to(clock.now() + timedelta(days=1, minutes=1))
        invite(admin)

    def test_the_request_body_cannot_choose_the_tenant(self, admin, acme, globex):
        link = invite(admin, tenant=str(globex.pk), tenant_id=str(globex.pk))

        assert key_of(link).startswith(acme.pk.hex)
        with acting_in(globex):
            assert not Invitation.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_concurrent_acceptances_create_one_member(acme):
    with acting_in(acme):
        _, key = invitations.invite(
            email=NEW["email"], role="noc", is_limited=False, actor=ACTOR, at=clock.now()
        )
    outcomes = []
    start = threading.Barrier(8)

    def click() -> None:
        start.wait()
        try:
            accept_invitation.accept_as_new(key=key, name="x", password=PASSWORD, at=clock.now())
            outcomes.append("in")
        except Exception as refused:
            outcomes.append(type(refused).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes.count("in") == 1
    assert set(outcomes) <= {"in", InvitationUnusable.__name__}
    assert User.objects.filter(email=LOCAL).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_committed_revocation_wins_over_a_waiting_acceptance(acme):
    with acting_in(acme):
        invitation, key = invitations.invite(
            email=NEW["email"], role="noc", is_limited=False, actor=ACTOR, at=clock.now()
        )
    outcomes = []

    def accept() -> None:
        try:
            accept_invitation.accept_as_new(key=key, name="x", password=PASSWORD, at=clock.now())
            outcomes.append("in")
        except InvitationUnusable:
            outcomes.append("refused")
        finally:
            connection.close()

    acceptance = threading.Thread(target=accept)
    with acting_in(acme):
        invitations.revoke_invitation(invitation=invitation, actor=ACTOR, at=clock.now())
        acceptance.start()  # it still sees an open invitation, and waits for the row
        eventually(is_lock_waiting)
    acceptance.join()

    assert outcomes == ["refused"]
    assert not User.objects.filter(email=LOCAL).exists()


def is_lock_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN"
            " (SELECT pid FROM pg_stat_activity WHERE datname = current_database())"
        )
        return bool(cursor.fetchone()[0])
