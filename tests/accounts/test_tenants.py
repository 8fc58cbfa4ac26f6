"""Choosing a tenant among one's own; membership is checked on each request."""

from uuid import uuid4

import pytest

from apps.accounts.models import Membership
from apps.accounts.services import issue_token
from apps.audit.models import Record
from apps.core import clock
from apps.tenancy import acting_in
from tests.accounts.operators import Caller
from tests.clients import bearer, listed, problem
from tests.inventory.factories import ACTOR

pytestmark = pytest.mark.django_db


@pytest.fixture
def both(acme, globex, acme_noc) -> Caller:
    """NOC in acme, reads in globex."""
    Membership.objects.create(tenant=globex, user=acme_noc, role="readonly")
    client = Caller()
    client.force_login(acme_noc)
    choose(client, acme.pk)
    return client


def active_tenant(client: Caller) -> str:
    return client.get("/api/v1/me/").json()["tenant"]["slug"]


def choose(client: Caller, tenant_id: object):
    return client.post("/tenants/choose/", {"tenant": str(tenant_id)}, format="multipart")


def token_of(tenant, user) -> str:
    at = clock.now()
    return issue_token(tenant=tenant, user=user, name="x", actor=ACTOR, at=at)[1]


class TestSwitcher:
    def test_lists_the_users_tenants(self, both, acme, globex):
        page = both.get("/tenants/")

        assert [tenant.slug for tenant in page.context["tenants"]] == ["acme", "globex"]
        assert "rows" not in page.context

    def test_pages_and_rest_follow_it(self, both, globex):
        assert active_tenant(both) == "acme"

        assert choose(both, globex.pk)["Location"] == "/"

        assert active_tenant(both) == "globex"
        assert both.get("/api/v1/me/").json()["role"] == "readonly"
        assert b"Globex Fibre" in both.get("/").content

    @pytest.mark.parametrize("junk", ["", "x", "\x00", "٣", "00000000-0000-4000-8000-000000000000"])
    def test_other_tenants_cannot_be_chosen(self, both, junk):
        assert choose(both, junk).status_code == 404
        assert active_tenant(both) == "acme"

    def test_another_tenant_equals_an_unknown_one(self, acme_noc, globex):
        client = Caller()
        client.force_login(acme_noc)
        answers = [choose(client, pk) for pk in (globex.pk, uuid4())]

        assert answers[0].status_code == answers[1].status_code == 404
        assert answers[0].content == answers[1].content

    def test_membership_is_checked_on_each_request(self, both, globex, acme_noc):
        choose(both, globex.pk)
        Membership.objects.filter(tenant=globex, user=acme_noc).delete()

        page = both.get("/devices/")

        assert page.status_code == 302
        assert page["Location"] == "/tenants/?next=%2Fdevices%2F"
        assert problem(both.get("/api/v1/me/"))[1] == "no_tenant"
        assert [t.slug for t in both.get("/tenants/").context["tenants"]] == ["acme"]

    def test_a_suspended_tenant_cannot_be_used(self, both, globex):
        choose(both, globex.pk)
        globex.is_active = False
        globex.save()

        assert both.get("/devices/")["Location"].startswith("/tenants/")
        assert choose(both, globex.pk).status_code == 404


class TestTenantHeader:
    HEADER = "X-ISPVM-Tenant"

    def test_a_token_is_limited_to_its_tenant(self, acme, globex, acme_noc):
        Membership.objects.create(tenant=globex, user=acme_noc, role="noc")
        client = Caller(headers={"Authorization": f"Bearer {token_of(acme, acme_noc)}"})

        assert client.get("/api/v1/me/", headers={self.HEADER: str(acme.pk)}).status_code == 200
        for other in (globex.pk, uuid4(), "nonsense"):
            answer = client.get("/api/v1/me/", headers={self.HEADER: str(other)})
            assert problem(answer) == (401, "no_tenant")

    def test_a_session_can_select_a_tenant_of_the_user(self, both, globex):
        answer = both.get("/api/v1/me/", headers={self.HEADER: str(globex.pk)})

        assert answer.json()["tenant"]["slug"] == "globex"
        assert problem(both.get("/api/v1/me/", headers={self.HEADER: str(uuid4())}))[0] == 401


class TestRest:
    def test_shows_the_current_tenant_only(self, acme, globex, acme_readonly):
        rows = listed(bearer(acme, acme_readonly), "/api/v1/tenants/")

        assert [row["slug"] for row in rows] == ["acme"]

    def test_an_admin_renames_it(self, acme, acme_admin, acme_noc):
        url = f"/api/v1/tenants/{acme.pk}/"
        assert problem(bearer(acme, acme_noc).patch(url, {"name": "X"}))[0] == 403

        body = {"name": "Acme Networks", "slug": "other", "is_active": False, "id": str(uuid4())}
        answer = bearer(acme, acme_admin).patch(url, body, format="json")

        assert answer.json()["name"] == "Acme Networks"
        acme.refresh_from_db()
        assert (acme.slug, acme.is_active) == ("acme", True)
        with acting_in(acme):
            assert Record.objects.filter(action="tenant.renamed").count() == 1

    def test_tenants_cannot_be_created_or_deleted_here(self, acme, acme_admin):
        admin = bearer(acme, acme_admin)

        assert admin.post("/api/v1/tenants/", {"slug": "x", "name": "X"}).status_code == 405
        assert admin.delete(f"/api/v1/tenants/{acme.pk}/").status_code == 405
