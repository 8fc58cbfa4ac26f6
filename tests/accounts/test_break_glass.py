"""Platform operators: outside of tenants they see names; inside only with a reason, for a time; the tenant sees it."""

from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.models import BreakGlass, PlatformOperator, User
from apps.audit.models import PlatformRecord, Record
from apps.authorization.permissions import BREAK_GLASS, Permission
from apps.core import clock
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from tests.accounts.operators import Caller, make_operator
from tests.accounts.test_matrix import CASES, REST, ask, class_of  # noqa: F401
from tests.clients import bearer, faulty_fields, listed, problem, signed_in
from tests.inventory.factories import make_device

pytestmark = pytest.mark.django_db

REASON = "ticket 4711: their BGP alerts do not clear"
STAYS, TENANTS = "/api/v1/platform/stays/", "/api/v1/platform/tenants/"


@pytest.fixture
def operator(db) -> User:
    return make_operator()


@pytest.fixture
def root(operator) -> APIClient:
    client = Caller(raise_request_exception=False)
    signed_in(client, operator)
    return client


@pytest.fixture
def browser(operator) -> Client:
    client = Client()
    signed_in(client, operator)
    return client


def begin(root: APIClient, to: Tenant, **asked):
    body = {"tenant": str(to.pk), "reason": REASON, **asked}
    return root.post(STAYS, body, format="json")


def inside(tenant: Tenant) -> dict:
    return {"headers": {"X-ISPVM-Tenant": str(tenant.pk)}}


class TestOutside:
    def test_no_tenant_is_entered_without_breaking_glass(self, root, acme, acme_admin):
        with acting_in(acme):
            make_device()
        for headers in ({}, inside(acme)):
            assert problem(root.get("/api/v1/devices/", **headers)) == (401, "no_tenant")

    def test_every_rest_action_of_a_tenant_is_shut(self, root, acme):
        for case in CASES:
            url = case.url(dict.fromkeys(case.names, uuid4()))
            for headers in ({}, inside(acme)):
                with transaction.atomic():
                    answer = getattr(root, case.method)(url, **headers)
                assert answer.status_code == 401, (case.path, answer.content)

    def test_every_page_but_the_choice_is_shut(self, browser, acme, acme_admin):
        assert browser.get("/").status_code == 403
        assert b"Acme Net" in browser.get("/tenants/").content
        assert browser.post("/tenants/choose/", {"tenant": str(acme.pk)}).status_code == 404

    def test_tenants_are_listed_made_suspended_and_resumed(self, root, acme, acme_admin):
        made = root.post(TENANTS, {"slug": "newnet", "name": "New Net"}, format="json")
        url = f"{TENANTS}{acme.pk}/"

        assert made.status_code == 201
        assert {row["slug"] for row in listed(root, TENANTS)} >= {"acme", "newnet"}
        assert problem(root.post(TENANTS, {"slug": "NEWNET", "name": "x"}))[1] == "name_taken"
        member = bearer(acme, acme_admin)
        assert root.patch(url, {"is_active": False}, format="json").json()["is_active"] is False
        with transaction.atomic():
            assert member.get("/api/v1/me/").status_code == 401
        assert root.patch(url, {"is_active": True}, format="json").status_code == 200
        assert member.get("/api/v1/me/").status_code == 200
        with acting_in(acme):
            told = list(Record.objects.order_by("sequence").values_list("action", flat=True))
        assert told[-2:] == ["tenant.suspended", "tenant.resumed"]

    def test_nobody_else_is_let_in(self, acme, acme_admin):
        session = Caller(raise_request_exception=False)
        signed_in(session, acme_admin)
        for client, status in ((session, 403), (bearer(acme, acme_admin), 401), (APIClient(), 401)):
            for path, entry in REST:
                if "/platform/" not in path:
                    continue
                for method in entry.callback.actions:
                    url = "/" + path.partition("(")[0].replace("^", "").replace("$", "")
                    url += f"{acme.pk}/" if "(?P" in path else ""
                    answer = getattr(client, method)(url)
                    assert answer.status_code == status, (path, method, answer.content)

    def test_nor_on_the_pages(self, client, acme, acme_admin):
        signed_in(client, acme_admin)

        entered = client.post(
            "/tenants/enter/", {"tenant": str(acme.pk), "reason": REASON, "minutes": "5"}
        )
        assert entered.status_code == 403
        assert client.post("/tenants/leave/").status_code == 403


class TestStay:
    def test_needs_a_reason_and_an_end(self, root, acme):
        assert faulty_fields(begin(root, acme, reason="why not")) == {"reason"}
        spaced = begin(root, acme, reason="a" + " " * 20 + "b")
        assert problem(spaced) == (422, "reason_needed")
        assert faulty_fields(begin(root, acme, minutes=241)) == {"minutes"}
        assert faulty_fields(begin(root, acme, minutes=0)) == {"minutes"}
        assert problem(begin(root, acme, tenant=str(uuid4()))) == (404, "not_found")
        with acting_in(acme):
            assert not BreakGlass.objects.exists()

    def test_opens_that_tenant_and_no_other(self, root, acme, globex):
        with acting_in(acme):
            make_device()
        assert begin(root, acme).status_code == 201

        assert len(listed_in(root, acme, "devices")) == 1
        assert problem(root.get("/api/v1/devices/", **inside(globex))) == (401, "no_tenant")
        assert problem(root.get("/api/v1/devices/")) == (401, "no_tenant"), "it must be named"
        me = root.get("/api/v1/me/", **inside(acme)).json()
        assert me["role"] == "platform"
        assert set(me["permissions"]) == {p.value for p in BREAK_GLASS}

    def test_makes_nothing_that_outlasts_it(self, root, acme):
        begin(root, acme)
        lasting = set(Permission) - BREAK_GLASS
        for case in CASES:
            if case.permission in lasting:
                url = case.url(dict.fromkeys(case.names, uuid4()))
                answer = getattr(root, case.method)(url, **inside(acme))
                assert answer.status_code == 403, case.path

    def test_is_told_to_the_tenant_and_to_the_platform(self, root, acme, acme_auditor, operator):
        begin(root, acme)
        root.delete(f"{STAYS}{acme.pk}/")

        with acting_in(acme):
            own = list(Record.objects.order_by("sequence").values("action", "actor", "detail"))
        whole = list(
            PlatformRecord.objects.order_by("sequence").values("action", "actor", "detail")
        )
        for told in (own, whole):
            assert [row["action"] for row in told[-2:]] == ["platform.entered", "platform.left"]
            assert told[-2]["detail"]["reason"] == REASON
            assert told[-2]["actor"]["id"] == str(operator.pk)
        (row,) = listed(bearer(acme, acme_auditor), "/api/v1/break-glass/")
        assert row["reason"] == REASON
        assert row["operator"] == operator.label
        assert row["closed_at"] is not None

    def test_what_is_done_inside_names_the_operator(self, root, acme, operator):
        begin(root, acme)
        body = {"name": "new", "code": "N"}
        assert root.post("/api/v1/sites/", body, **inside(acme), format="json").status_code == 201

        with acting_in(acme):
            last = Record.objects.order_by("sequence").last()
            visit = BreakGlass.objects.get()
        assert last.actor == {
            "kind": "platform",
            "id": str(operator.pk),
            "label": operator.label,
            "visit": str(visit.pk),
        }

    @pytest.mark.parametrize("end", ["time", "leaving", "suspension", "removal"])
    def test_ends(self, root, acme, operator, monkeypatch, end):
        begin(root, acme, minutes=5)
        assert root.get("/api/v1/me/", **inside(acme)).status_code == 200

        if end == "time":
            late = clock.now() + timedelta(minutes=5, seconds=1)
            monkeypatch.setattr(clock, "now", lambda: late)
        elif end == "leaving":
            assert root.delete(f"{STAYS}{acme.pk}/").status_code == 204
        elif end == "suspension":
            Tenant.objects.filter(pk=acme.pk).update(is_active=False)
        else:
            monkeypatch.setattr("apps.accounts.selectors.is_platform_operator", lambda user: False)

        assert root.get("/api/v1/me/", **inside(acme)).status_code == 401

    def test_a_second_one_ends_the_first(self, root, acme):
        begin(root, acme)
        begin(root, acme, reason=REASON + " again")

        with acting_in(acme):
            assert BreakGlass.objects.filter(closed_at=None).count() == 1
            assert BreakGlass.objects.count() == 2


class TestPages:
    def enter(self, browser, acme, **asked):
        body = {"tenant": str(acme.pk), "reason": REASON, "minutes": "5", **asked}
        return browser.post("/tenants/enter/", body)

    def test_every_page_says_whose_guest_one_is(self, browser, acme):
        assert self.enter(browser, acme)["Location"] == "/"

        for path in ("/", "/devices/", "/alerts/", "/webhooks/"):
            page = browser.get(path)
            assert page.status_code == 200
            assert b"as a platform operator" in page.content
            assert REASON in page.content.decode()

    def test_leaving_is_one_button(self, browser, acme):
        self.enter(browser, acme)

        assert browser.post("/tenants/leave/")["Location"] == "/tenants/"
        assert browser.get("/devices/").status_code == 403

    @pytest.mark.parametrize(
        "asked", [{"reason": ""}, {"minutes": ""}, {"minutes": "9999"}, {"minutes": "٣"}]
    )
    def test_a_fault_is_shown_and_nothing_opened(self, browser, acme, asked):
        answer = self.enter(browser, acme, **asked)

        assert answer.status_code == 422
        assert b"fault" in answer.content
        assert browser.get("/devices/").status_code == 403

    @pytest.mark.parametrize("tenant", ["", "x", "\x00", "00000000-0000-4000-8000-000000000000"])
    def test_what_is_not_there_is_not_entered(self, browser, acme, tenant):
        assert self.enter(browser, acme, tenant=tenant).status_code == 404


def listed_in(root: APIClient, tenant: Tenant, path: str) -> list:
    return root.get(f"/api/v1/{path}/", **inside(tenant)).json()["results"]


class TestWhoIsOne:
    def test_web_and_worker_make_none(self, acme_admin):
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            PlatformOperator.objects.create(user=acme_admin, since=clock.now())
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            PlatformOperator.objects.update(since=clock.now())
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            PlatformOperator.objects.all().delete()

    @pytest.mark.django_db(transaction=True, databases=["default", "owner"])
    def test_the_command_does_with_the_owners_address(self):
        user = User.objects.create_user("ops@platform.example", None)
        out = StringIO()
        for act in ("add", "add", "list", "remove", "remove"):
            args = [act] if act == "list" else [act, "OPS@platform.example"]
            call_command("platform_operator", *args, stdout=out)

        said = out.getvalue().splitlines()
        assert said[1] == said[-1] == "Nothing to do."
        assert [line for line in said if user.email in line]
        assert sum(line.startswith("Done") for line in said) == 2
        told = list(PlatformRecord.objects.order_by("sequence").values_list("action", flat=True))
        assert told == ["platform_operator.made", "platform_operator.ended"]

    def test_the_command_refuses_without_it(self, acme_admin, monkeypatch):
        with pytest.raises(CommandError, match="nobody"):
            call_command("platform_operator", "add", "nobody@nowhere.example")
        monkeypatch.delitem(settings.DATABASES, "owner")
        with pytest.raises(CommandError, match="owner"):
            call_command("platform_operator", "add", acme_admin.email)
