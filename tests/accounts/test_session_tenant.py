"""A session is bound to its tenant and never changes it by itself."""

import pytest
from django.db import transaction
from django.test import Client

from apps.accounts.models import Membership, OpenSession
from apps.accounts.platform import rename_tenant
from apps.accounts.services import add_member
from apps.authorization.choices import Role
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from tests.accounts.test_second_factor import first_step
from tests.clients import WHO_TESTS, problem

pytestmark = pytest.mark.django_db


@pytest.fixture
def hostile(db) -> Tenant:
    """A tenant whose name sorts first."""
    return Tenant.objects.create(slug="aaa", name="  Aaa first of all")


class Browser(Client):
    """Each request runs in a savepoint, so that a refused one does not roll back the test's transaction."""

    def generic(self, *args, **kwargs):
        with transaction.atomic():
            return super().generic(*args, **kwargs)


def rest_tenant(client: Client) -> str | None:
    answer = client.get("/api/v1/me/")
    return answer.json()["tenant"]["slug"] if answer.status_code == 200 else None


def page_tenant(client: Client) -> str | None:
    answer = client.get("/")
    access = answer.wsgi_request.access
    return access.tenant.slug if access else None


def tenants_of_session(client: Client) -> set[str | None]:
    return {rest_tenant(client), page_tenant(client)}


class TestOpenSession:
    def test_stays_when_a_membership_is_added(self, acme_noc, hostile):
        client = first_step(acme_noc, Browser())

        add_member(tenant=hostile, user=acme_noc, role=Role.ADMIN, **WHO_TESTS)

        assert tenants_of_session(client) == {"acme"}

    def test_stays_before_its_first_request_too(self, acme_noc, hostile):
        client = Browser()
        body = {"email": acme_noc.email, "password": "correct-horse-battery"}
        assert client.post("/sign-in/", body).status_code == 302

        add_member(tenant=hostile, user=acme_noc, role=Role.ADMIN, **WHO_TESTS)

        assert tenants_of_session(client) == {"acme"}

    def test_stays_when_tenants_are_renamed(self, acme, globex, acme_noc):
        Membership.objects.create(tenant=globex, user=acme_noc, role=Role.NOC)
        client = first_step(acme_noc, Browser())
        client.post("/tenants/choose/", {"tenant": str(globex.pk)})
        assert tenants_of_session(client) == {"globex"}

        for tenant, name in ((acme, "0"), (globex, "zzz")):
            with acting_in(tenant):
                rename_tenant(tenant=tenant, name=name, **WHO_TESTS)

        assert tenants_of_session(client) == {"globex"}

    @pytest.mark.parametrize("end", ["removed", "suspended"])
    def test_has_no_tenant_after_its_own_ended(self, acme, globex, acme_noc, end):
        Membership.objects.create(tenant=globex, user=acme_noc, role=Role.ADMIN)
        client = first_step(acme_noc, Browser())
        client.post("/tenants/choose/", {"tenant": str(acme.pk)})
        assert tenants_of_session(client) == {"acme"}

        if end == "removed":
            Membership.objects.filter(tenant=acme, user=acme_noc).delete()
        else:
            Tenant.objects.filter(pk=acme.pk).update(is_active=False)

        assert tenants_of_session(client) == {None}
        assert client.get("/devices/")["Location"] == "/tenants/?next=%2Fdevices%2F"
        assert problem(client.get("/api/v1/me/")) == (401, "no_tenant")

    def test_of_a_member_of_two_tenants_must_choose(self, globex, acme_noc):
        Membership.objects.create(tenant=globex, user=acme_noc, role=Role.NOC)
        client = first_step(acme_noc, Browser())

        assert tenants_of_session(client) == {None}
        answer = client.post("/tenants/choose/", {"tenant": str(globex.pk), "next": "/devices/"})
        assert answer["Location"] == "/devices/"
        assert tenants_of_session(client) == {"globex"}

    def test_without_a_choice_is_not_bound_when_one_tenant_is_left(self, globex, acme_noc):
        Membership.objects.create(tenant=globex, user=acme_noc, role=Role.NOC)
        client = first_step(acme_noc, Browser())
        Membership.objects.filter(tenant__slug="acme", user=acme_noc).delete()

        assert tenants_of_session(client) == {None}

    def test_stays_in_the_chosen_tenant(self, globex, acme_noc):
        client = first_step(acme_noc, Browser())

        for target in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
            tenant = acme_noc.memberships.get().tenant_id
            answer = client.post("/tenants/choose/", {"tenant": str(tenant), "next": target})
            assert answer["Location"] == "/"

    def test_is_listed_in_its_tenant_from_the_start(self, acme, acme_noc):
        body = {"email": acme_noc.email, "password": "correct-horse-battery"}
        Client().post("/sign-in/", body)

        assert OpenSession.objects.get().tenant == acme
