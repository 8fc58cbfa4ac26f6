"""A token cannot exceed its own scopes and lifetime by what it creates."""

import threading
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from apps.accounts.errors import AccessEnded
from apps.accounts.models import ApiToken, Membership, OpenSession, User
from apps.accounts.services import issue_token
from apps.accounts.services import revoke_token as revoke
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.core import clock
from tests.accounts.operators import Caller
from tests.accounts.test_second_factor import is_in
from tests.accounts.test_sessions import browser
from tests.clients import WHO_TESTS, bearer, listed, problem
from tests.supervisor.waiting import eventually

pytestmark = pytest.mark.django_db

MANAGE_MEMBERS = ["members.manage", "members.view"]


def program(tenant, user, *, scopes=None, days=365) -> APIClient:
    _, text = issue_token(tenant=tenant, user=user, name="x", scopes=scopes, days=days, **WHO_TESTS)
    return Caller(headers={"Authorization": f"Bearer {text}"})


def of(text: str) -> APIClient:
    return Caller(headers={"Authorization": f"Bearer {text}"})


class TestMembers:
    def test_a_scoped_token_cannot_create_an_admin(self, acme, acme_admin, acme_noc):
        member = Membership.objects.get(user=acme_noc)
        narrow = program(acme, acme_admin, scopes=MANAGE_MEMBERS)

        answer = narrow.patch(f"/api/v1/memberships/{member.pk}/", {"role": "admin"})

        assert problem(answer) == (422, "scope_not_held")
        member.refresh_from_db()
        assert member.role == Role.NOC

    def test_a_scoped_token_cannot_remove_a_limit(self, acme, acme_admin, acme_noc):
        Membership.objects.filter(user=acme_noc).update(is_limited=True)
        member = Membership.objects.get(user=acme_noc)
        narrow = program(acme, acme_admin, scopes=MANAGE_MEMBERS)

        answer = narrow.patch(f"/api/v1/memberships/{member.pk}/", {"is_limited": False})

        assert problem(answer) == (422, "scope_not_held")

    def test_a_token_can_grant_its_own_scopes(self, acme, acme_admin, acme_noc):
        member = Membership.objects.get(user=acme_noc)
        whole = program(acme, acme_admin)

        url = f"/api/v1/memberships/{member.pk}/"
        assert whole.patch(url, {"role": "readonly"}).status_code == 200


class TestTokensOfTokens:
    def make(self, client, **fields):
        answer = client.post("/api/v1/tokens/", {"name": "child", **fields})
        assert answer.status_code == 201, answer.content
        return answer.json()

    def test_expire_with_it(self, acme, acme_admin):
        short = program(acme, acme_admin, days=1)

        created = self.make(short, days=730)

        parent = ApiToken.objects.get(name="x")
        assert ApiToken.objects.get(pk=created["id"]).expires_at == parent.expires_at

    def test_their_tokens_expire_with_it_too(self, acme, acme_admin):
        created = self.make(program(acme, acme_admin, days=1), days=730)

        grandchild = self.make(of(created["token"]), days=730)

        assert ApiToken.objects.get(pk=grandchild["id"]).expires_at < clock.now() + timedelta(
            days=2
        )

    def test_end_when_it_is_revoked(self, acme, acme_admin):
        child = self.make(program(acme, acme_admin))
        grandchild = self.make(of(child["token"]))
        assert of(grandchild["token"]).get("/api/v1/me/").status_code == 200

        revoke(token=ApiToken.objects.get(name="x"), **WHO_TESTS)

        for created in (child, grandchild):
            assert problem(of(created["token"]).get("/api/v1/me/")) == (401, "bad_token")

    def test_created_by_a_user_are_not_revoked(self, acme, acme_admin):
        other = bearer(acme, acme_admin)
        program(acme, acme_admin)

        revoke(token=ApiToken.objects.get(name="x"), **WHO_TESTS)

        assert other.get("/api/v1/me/").status_code == 200

    def test_end_with_the_permissions_of_their_user(self, acme, acme_admin):
        child = self.make(program(acme, acme_admin))
        Membership.objects.filter(user=acme_admin).update(role=Role.READONLY)
        assert problem(of(child["token"]).post("/api/v1/tokens/", {"name": "y"}))[0] == 403

        Membership.objects.filter(user=acme_admin).delete()
        assert problem(of(child["token"]).get("/api/v1/me/"))[0] == 401


class TestSessions:
    """A token belongs to one tenant; its user has sessions in several."""

    def test_of_another_tenant_are_neither_listed_nor_ended(self, acme, globex, acme_noc):
        elsewhere = browser(acme_noc)
        foreign = OpenSession.objects.get(user=acme_noc)
        here = browser(acme_noc)
        Membership.objects.create(tenant=globex, user=acme_noc, role=Role.NOC)
        OpenSession.objects.filter(session__open_session__isnull=False).update(tenant=acme)
        OpenSession.objects.filter(pk=foreign.pk).update(tenant=globex)
        token = program(acme, acme_noc)

        assert str(foreign.pk) not in {row["id"] for row in listed(token, "/api/v1/sessions/")}
        assert problem(token.delete(f"/api/v1/sessions/{foreign.pk}/"))[0] == 404
        assert token.post("/api/v1/sessions/end-others/").status_code == 204

        assert is_in(elsewhere)
        assert not is_in(here)


@pytest.mark.django_db(transaction=True)
class TestConcurrentRevocation:
    """Two connections: a token is revoked while it creates another one."""

    def test_a_child_of_a_token_that_is_being_revoked_is_refused(self, acme, acme_admin):
        parent, _ = issue_token(tenant=acme, user=acme_admin, name="parent", **WHO_TESTS)
        is_revoked, refusals, backend = threading.Event(), [], []

        def make_child() -> None:
            try:
                is_revoked.wait(timeout=60)
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    backend.append(cursor.fetchone()[0])
                issue_token(tenant=acme, user=acme_admin, name="child", parent=parent, **WHO_TESTS)
            except AccessEnded as refusal:
                refusals.append(refusal.code)
            finally:
                connection.close()

        other = threading.Thread(target=make_child)
        other.start()
        with transaction.atomic():
            # ``parent`` as the other request read it is not revoked.
            revoke(token=ApiToken.objects.get(pk=parent.pk), **WHO_TESTS)
            is_revoked.set()
            eventually(lambda: not other.is_alive() or waits_for_lock(backend))
        other.join(timeout=60)

        assert refusals == ["access_ended"]
        assert not ApiToken.objects.filter(revoked_at=None).exists()

    def test_a_revocation_includes_the_child_created_before_it(self, acme, acme_admin):
        parent, _ = issue_token(tenant=acme, user=acme_admin, name="parent", **WHO_TESTS)
        is_made, backend = threading.Event(), []

        def end() -> None:
            try:
                is_made.wait(timeout=60)
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    backend.append(cursor.fetchone()[0])
                revoke(token=ApiToken.objects.get(pk=parent.pk), **WHO_TESTS)
            finally:
                connection.close()

        other = threading.Thread(target=end)
        other.start()
        with transaction.atomic():
            issue_token(tenant=acme, user=acme_admin, name="child", parent=parent, **WHO_TESTS)
            is_made.set()
            eventually(lambda: not other.is_alive() or waits_for_lock(backend))
        other.join(timeout=60)

        assert not ApiToken.objects.filter(revoked_at=None).exists()

    @pytest.mark.parametrize("change", ["deactivated", "password"])
    def test_an_ended_session_creates_none(self, acme, acme_admin, change):
        """``acme_admin`` is the user as read by the request."""
        theirs = Actor("user", str(acme_admin.pk), acme_admin.label)
        row = User.objects.get(pk=acme_admin.pk)
        row.is_active = change != "deactivated"
        if change == "password":
            row.set_password("changed-in-another-window")
        row.save()

        with pytest.raises(AccessEnded):
            issue_token(tenant=acme, user=acme_admin, name="x", actor=theirs, at=clock.now())

        assert not ApiToken.objects.exists()


def waits_for_lock(backend: list[int]) -> bool:
    """Whether the other connection has reached a lock held by another one."""
    if not backend:
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", backend)
        return bool(cursor.fetchone()[0])


def test_an_invitation_expires_with_the_token(acme, acme_admin):
    brief = program(acme, acme_admin, days=1)

    answer = brief.post(
        "/api/v1/invitations/", {"email": "new@acme.example", "role": "noc"}, format="json"
    )

    assert answer.status_code == 201
    end = ApiToken.objects.get(user=acme_admin).expires_at
    assert datetime.fromisoformat(answer.json()["expires_at"]) == end
