"""Members of a tenant over REST."""

import threading

import pytest
from django.db import connection, transaction

from apps.accounts.models import Membership, User
from apps.audit.models import Record
from apps.authorization.choices import Role
from apps.authorization.permissions import ROLE_TABLE, Permission
from apps.tenancy import acting_in
from tests.clients import bearer, listed, problem, queries
from tests.conftest import PASSWORD

URL = "/api/v1/memberships/"


@pytest.fixture
def admin(acme, acme_admin):
    return bearer(acme, acme_admin)


def of(user) -> str:
    return f"{URL}{Membership.objects.get(user=user).id}/"


@pytest.mark.django_db
class TestMembers:
    def test_lists_members_of_the_tenant_only(self, admin, acme_admin, acme_noc, globex_admin):
        people = {row["email"] for row in listed(admin, "/api/v1/users/")}

        assert people == {acme_admin.email, acme_noc.email}
        assert {row["email"] for row in listed(admin, URL)} == people

    def test_query_count_is_the_same_for_one_and_many(self, acme, admin, acme_noc):
        few = queries(lambda: listed(admin, URL))
        for number in range(10):
            user = User.objects.create_user(f"u{number}@acme.example", PASSWORD)
            Membership.objects.create(tenant=acme, user=user, role=Role.NOC)

        assert queries(lambda: listed(admin, URL)) == few

    def test_a_new_address_is_invited_without_creating_an_account(self, acme, admin):
        body = {"email": "new@acme.example", "name": "New Hand", "role": "noc"}
        created = admin.post(URL, {**body, "password": "correct-horse-42-x"})

        assert created.status_code == 201
        assert "password" not in created.json()
        assert not User.objects.filter(email=body["email"]).exists()
        assert Membership.objects.count() == 1
        with acting_in(acme):
            assert Record.objects.latest("sequence").action == "invitation.created"

    def test_an_existing_account_is_not_changed(self, admin, globex_admin):
        body = {"email": globex_admin.email.upper(), "name": "Other", "role": "readonly"}
        created = admin.post(URL, {**body, "password": "correct-horse-42-x"})

        assert created.status_code == 201
        assert str(globex_admin.pk) not in created.content.decode()
        globex_admin.refresh_from_db()
        assert globex_admin.check_password(PASSWORD)
        assert globex_admin.get_full_name() != "Other"
        assert globex_admin.memberships.count() == 1

    def test_nobody_is_invited_twice(self, admin, acme_noc):
        answer = admin.post(URL, {"email": acme_noc.email, "role": "noc"})

        assert problem(answer) == (409, "already_member")

    def test_a_role_takes_effect_on_the_next_request(self, acme, admin, acme_noc):
        noc = bearer(acme, acme_noc)
        assert noc.get("/api/v1/users/").status_code == 200

        assert admin.patch(of(acme_noc), {"role": "readonly"}).status_code == 200

        assert noc.get("/api/v1/users/").status_code == 403

    def test_removal_takes_effect_on_the_next_request_and_revokes_tokens(
        self, acme, admin, acme_noc
    ):
        noc = bearer(acme, acme_noc)
        url = of(acme_noc)

        assert admin.delete(url).status_code == 204

        with transaction.atomic():  # a refusal rolls back what it stands in
            assert problem(noc.get("/api/v1/me/"))[0] == 401
        Membership.objects.create(tenant=acme, user=acme_noc, role=Role.NOC)
        assert problem(noc.get("/api/v1/me/"))[0] == 401

    def test_a_session_ends_with_the_membership_too(self, admin, acme_noc, client):
        assert client.login(username=acme_noc.email, password=PASSWORD)
        admin.delete(of(acme_noc))

        assert client.get("/api/v1/me/").status_code == 401

    @pytest.mark.parametrize("act", ["demote", "remove"])
    def test_the_last_admin_cannot_be_removed(self, admin, acme_admin, act):
        url = of(acme_admin)

        answer = admin.delete(url) if act == "remove" else admin.patch(url, {"role": "noc"})

        assert problem(answer) == (409, "last_admin")
        assert Membership.objects.get(user=acme_admin).role == Role.ADMIN

    def test_an_admin_who_cannot_sign_in_does_not_count(self, acme, admin, acme_admin):
        asleep = User.objects.create_user("asleep@acme.example", PASSWORD, is_active=False)
        Membership.objects.create(tenant=acme, user=asleep, role=Role.ADMIN)

        assert problem(admin.delete(of(acme_admin))) == (409, "last_admin")

    def test_with_another_admin_one_can_be_removed(self, acme, admin, acme_admin):
        other = User.objects.create_user("other@acme.example", PASSWORD)
        Membership.objects.create(tenant=acme, user=other, role=Role.ADMIN)

        assert admin.delete(of(acme_admin)).status_code == 204


@pytest.mark.django_db
class TestRoles:
    def test_are_the_role_table(self, acme, acme_readonly):
        rows = bearer(acme, acme_readonly).get("/api/v1/roles/").json()["results"]

        assert {r["role"]: set(r["permissions"]) for r in rows} == {
            role.value: {p.value for p in held} for role, held in ROLE_TABLE.items()
        }


@pytest.mark.django_db
class TestScopes:
    def make(self, admin, **fields):
        return admin.post("/api/v1/tokens/", {"name": "x", **fields})

    def program(self, acme, created):
        from rest_framework.test import APIClient

        return APIClient(headers={"Authorization": f"Bearer {created.json()['token']}"})

    def test_narrow_a_token(self, acme, admin):
        program = self.program(acme, self.make(admin, scopes=["inventory.view"]))

        assert program.get("/api/v1/sites/").status_code == 200
        assert problem(program.post("/api/v1/sites/", {"name": "x"}))[0] == 403
        assert program.get("/api/v1/alerts/").status_code == 403
        assert program.get("/api/v1/me/").json()["permissions"] == ["inventory.view", "self"]

    def test_never_widen_it(self, acme, admin):
        narrow = self.program(acme, self.make(admin, scopes=["tokens.manage", "inventory.view"]))

        wider = self.make(narrow, scopes=["inventory.change"])
        whole = self.make(narrow)

        assert problem(wider) == (422, "scope_not_held")
        assert set(whole.json()["scopes"]) == {"tokens.manage", "inventory.view", "self"}

    def test_end_with_the_role(self, acme, admin, acme_admin):
        program = self.program(acme, self.make(admin, scopes=["inventory.change"]))
        acme_admin.memberships.update(role="readonly")

        assert problem(program.post("/api/v1/sites/", {"name": "x"}))[0] == 403

    @pytest.mark.parametrize("scopes", [["inventory.fly"], "inventory.view", [1], {"a": 1}])
    def test_unknown_scopes_are_refused(self, admin, scopes):
        assert self.make(admin, scopes=scopes).status_code == 400

    def test_the_last_use_is_stored(self, acme, admin):
        created = self.make(admin)
        url = f"/api/v1/tokens/{created.json()['id']}/"
        assert admin.get(url).json()["last_used_at"] is None

        self.program(acme, created).get("/api/v1/me/")

        assert admin.get(url).json()["last_used_at"] is not None


def test_permissions_are_listed_once():
    assert len({p.value for p in Permission}) == len(Permission)


@pytest.mark.django_db(transaction=True)
def test_two_admins_cannot_demote_each_other_concurrently(acme, acme_admin):
    other = User.objects.create_user("other@acme.example", PASSWORD)
    Membership.objects.create(tenant=acme, user=other, role=Role.ADMIN)
    acts = [(bearer(acme, acme_admin), of(other)), (bearer(acme, other), of(acme_admin))]
    answers = []

    def demote(client, url: str) -> None:
        answers.append(client.patch(url, {"role": "noc"}).status_code)
        connection.close()

    threads = [threading.Thread(target=demote, args=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Membership.objects.filter(role=Role.ADMIN).count() == 1
    assert answers.count(200) == 1
