"""Platform operators: without an access session they see tenants' names only; each session is audited in the tenant."""

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
SESSIONS, TENANTS = "/api/v1/platform/access-sessions/", "/api/v1/platform/tenants/"


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


def open_session(root: APIClient, to: Tenant, **fields):
    body = {"tenant": str(to.pk), "reason": REASON, **fields}
    return root.post(SESSIONS, body, format="json")


def in_tenant(tenant: Tenant) -> dict:
    return {"headers": {"X-ISPVM-Tenant": str(tenant.pk)}}


class TestWithoutAccessSession:
    def test_no_tenant_is_accessible(self, root, acme, acme_admin):
        with acting_in(acme):
            make_device()
        for headers in ({}, in_tenant(acme)):
            assert problem(root.get("/api/v1/devices/", **headers)) == (401, "no_tenant")

    def test_every_rest_action_of_a_tenant_is_refused(self, root, acme):
        for case in CASES:
            url = case.url(dict.fromkeys(case.names, uuid4()))
            for headers in ({}, in_tenant(acme)):
                with transaction.atomic():
                    answer = getattr(root, case.method)(url, **headers)
                assert answer.status_code == 401, (case.path, answer.content)

    def test_every_page_but_the_tenant_list_is_refused(self, browser, acme, acme_admin):
        assert browser.get("/").status_code == 403
        assert b"Acme Net" in browser.get("/tenants/").content
        assert browser.post("/tenants/choose/", {"tenant": str(acme.pk)}).status_code == 404

    def test_tenants_are_listed_created_suspended_and_resumed(self, root, acme, acme_admin):
        created = root.post(TENANTS, {"slug": "newnet", "name": "New Net"}, format="json")
        url = f"{TENANTS}{acme.pk}/"

        assert created.status_code == 201
        assert {row["slug"] for row in listed(root, TENANTS)} >= {"acme", "newnet"}
        assert problem(root.post(TENANTS, {"slug": "NEWNET", "name": "x"}))[1] == "name_taken"
        member = bearer(acme, acme_admin)
        assert root.patch(url, {"is_active": False}, format="json").json()["is_active"] is False
        with transaction.atomic():
            assert member.get("/api/v1/me/").status_code == 401
        assert root.patch(url, {"is_active": True}, format="json").status_code == 200
        assert member.get("/api/v1/me/").status_code == 200
        with acting_in(acme):
            actions = list(Record.objects.order_by("sequence").values_list("action", flat=True))
        assert actions[-2:] == ["tenant.suspended", "tenant.resumed"]

    def test_other_users_are_refused(self, acme, acme_admin):
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

    def test_other_users_are_refused_on_the_pages(self, client, acme, acme_admin):
        signed_in(client, acme_admin)

        answer = client.post(
            "/tenants/open/", {"tenant": str(acme.pk), "reason": REASON, "minutes": "5"}
        )
        assert answer.status_code == 403
        assert client.post("/tenants/exit/").status_code == 403


class TestAccessSession:
    def test_needs_a_reason_and_an_end(self, root, acme):
        assert faulty_fields(open_session(root, acme, reason="why not")) == {"reason"}
        spaced = open_session(root, acme, reason="a" + " " * 20 + "b")
        assert problem(spaced) == (422, "reason_needed")
        assert faulty_fields(open_session(root, acme, minutes=241)) == {"minutes"}
        assert faulty_fields(open_session(root, acme, minutes=0)) == {"minutes"}
        assert problem(open_session(root, acme, tenant=str(uuid4()))) == (404, "not_found")
        with acting_in(acme):
            assert not BreakGlass.objects.exists()

    def test_opens_that_tenant_and_no_other(self, root, acme, globex):
        with acting_in(acme):
            make_device()
        assert open_session(root, acme).status_code == 201

        assert len(listed_in(root, acme, "devices")) == 1
        assert problem(root.get("/api/v1/devices/", **in_tenant(globex))) == (401, "no_tenant")
        assert problem(root.get("/api/v1/devices/")) == (401, "no_tenant"), "it must be named"
        me = root.get("/api/v1/me/", **in_tenant(acme)).json()
        assert me["role"] == "platform"
        assert set(me["permissions"]) == {p.value for p in BREAK_GLASS}

    def test_creates_no_standing_access(self, root, acme):
        open_session(root, acme)
        forbidden = set(Permission) - BREAK_GLASS
        for case in CASES:
            if case.permission in forbidden:
                url = case.url(dict.fromkeys(case.names, uuid4()))
                answer = getattr(root, case.method)(url, **in_tenant(acme))
                assert answer.status_code == 403, case.path

    def test_is_recorded_for_the_tenant_and_for_the_platform(
        self, root, acme, acme_auditor, operator
    ):
        open_session(root, acme)
        root.delete(f"{SESSIONS}{acme.pk}/")

        with acting_in(acme):
            tenant_records = list(
                Record.objects.order_by("sequence").values("action", "actor", "detail")
            )
        platform_records = list(
            PlatformRecord.objects.order_by("sequence").values("action", "actor", "detail")
        )
        for records in (tenant_records, platform_records):
            assert [row["action"] for row in records[-2:]] == [
                "platform.access_session_opened",
                "platform.access_session_closed",
            ]
            assert records[-2]["detail"]["reason"] == REASON
            assert records[-2]["actor"]["id"] == str(operator.pk)
        (row,) = listed(bearer(acme, acme_auditor), "/api/v1/break-glass/")
        assert row["reason"] == REASON
        assert row["operator"] == operator.label
        assert row["closed_at"] is not None

    def test_changes_name_the_operator(self, root, acme, operator):
        open_session(root, acme)
        body = {"name": "new", "code": "N"}
        assert (
            root.post("/api/v1/sites/", body, **in_tenant(acme), format="json").status_code == 201
        )

        with acting_in(acme):
            last = Record.objects.order_by("sequence").last()
            session = BreakGlass.objects.get()
        assert last.actor == {
            "kind": "platform",
            "id": str(operator.pk),
            "label": operator.label,
            "access_session": str(session.pk),
        }

    @pytest.mark.parametrize("end", ["time", "leaving", "suspension", "removal"])
    def test_ends(self, root, acme, operator, monkeypatch, end):
        open_session(root, acme, minutes=5)
        assert root.get("/api/v1/me/", **in_tenant(acme)).status_code == 200

        if end == "time":
            late = clock.now() + timedelta(minutes=5, seconds=1)
            monkeypatch.setattr(clock, "now", lambda: late)
        elif end == "leaving":
            assert root.delete(f"{SESSIONS}{acme.pk}/").status_code == 204
        elif end == "suspension":
            Tenant.objects.filter(pk=acme.pk).update(is_active=False)
        else:
            monkeypatch.setattr("apps.accounts.selectors.is_platform_operator", lambda user: False)

        assert root.get("/api/v1/me/", **in_tenant(acme)).status_code == 401

    def test_a_second_one_ends_the_first(self, root, acme):
        open_session(root, acme)
        open_session(root, acme, reason=REASON + " again")

        with acting_in(acme):
            assert BreakGlass.objects.filter(closed_at=None).count() == 1
            assert BreakGlass.objects.count() == 2


class TestPages:
    def open(self, browser, acme, **fields):
        body = {"tenant": str(acme.pk), "reason": REASON, "minutes": "5", **fields}
        return browser.post("/tenants/open/", body)

    def test_every_page_shows_the_open_access_session(self, browser, acme):
        assert self.open(browser, acme)["Location"] == "/"

        for path in ("/", "/devices/", "/alerts/", "/webhooks/"):
            page = browser.get(path)
            assert page.status_code == 200
            assert b"as a platform operator" in page.content
            assert REASON in page.content.decode()

    def test_one_button_exits(self, browser, acme):
        self.open(browser, acme)

        assert browser.post("/tenants/exit/")["Location"] == "/tenants/"
        assert browser.get("/devices/").status_code == 403

    @pytest.mark.parametrize(
        "fields", [{"reason": ""}, {"minutes": ""}, {"minutes": "9999"}, {"minutes": "٣"}]
    )
    def test_an_error_is_shown_and_nothing_opened(self, browser, acme, fields):
        answer = self.open(browser, acme, **fields)

        assert answer.status_code == 422
        assert b"error-message" in answer.content
        assert browser.get("/devices/").status_code == 403

    @pytest.mark.parametrize("tenant", ["", "x", "\x00", "00000000-0000-4000-8000-000000000000"])
    def test_an_unknown_tenant_is_not_opened(self, browser, acme, tenant):
        assert self.open(browser, acme, tenant=tenant).status_code == 404


def listed_in(root: APIClient, tenant: Tenant, path: str) -> list:
    return root.get(f"/api/v1/{path}/", **in_tenant(tenant)).json()["results"]


class TestPlatformOperators:
    def test_web_and_worker_cannot_add_one(self, acme_admin):
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            PlatformOperator.objects.create(user=acme_admin, since=clock.now())
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            PlatformOperator.objects.update(since=clock.now())
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            PlatformOperator.objects.all().delete()

    @pytest.mark.django_db(transaction=True, databases=["default", "owner"])
    def test_the_command_can_with_the_owner_connection(self):
        user = User.objects.create_user("ops@platform.example", None)
        out = StringIO()
        for act in ("add", "add", "list", "remove", "remove"):
            args = [act] if act == "list" else [act, "OPS@platform.example"]
            call_command("platform_operator", *args, stdout=out)

        lines = out.getvalue().splitlines()
        assert lines[1] == lines[-1] == "Nothing to do."
        assert [line for line in lines if user.email in line]
        assert sum(line.startswith("Done") for line in lines) == 2
        actions = list(PlatformRecord.objects.order_by("sequence").values_list("action", flat=True))
        assert actions == ["platform_operator.added", "platform_operator.removed"]

    def test_the_command_refuses_without_it(self, acme_admin, monkeypatch):
        with pytest.raises(CommandError, match="No account"):
            call_command("platform_operator", "add", "nobody@nowhere.example")
        monkeypatch.delitem(settings.DATABASES, "owner")
        with pytest.raises(CommandError, match="owner"):
            call_command("platform_operator", "add", acme_admin.email)
