"""Access sessions of platform operators: they create no standing access, and the tenant sees what was done in them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.apps import apps as django_apps
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.access_sessions import (
    MAX_RECORDS,
    access_sessions_with_records,
    clean_reason,
    records_of,
    refuse_in_access_session,
)
from apps.accounts.errors import StandingAccessRefused
from apps.accounts.models import BreakGlass
from apps.accounts.platform import END_ACCESS_SESSION
from apps.accounts.tasks import end_access_session
from apps.audit.models import Record
from apps.audit.services import PendingRecord, record_all
from apps.authorization.actors import Actor
from apps.authorization.permissions import BREAK_GLASS
from apps.core import clock
from apps.events.models import Due
from apps.tenancy import acting_in
from apps.tenancy.models import TenantModel
from tests.accounts.operators import Caller, make_operator
from tests.accounts.rows import NESTED, ROWS
from tests.accounts.test_matrix import CASES, ID, Case
from tests.clients import problem, signed_in
from tests.database import as_owner

pytestmark = pytest.mark.django_db

REASON = "ticket 4711: their BGP alerts do not clear"
REFUSED = (403, "access_session_restricted")
#: What may be written in an access session, and why that gives nobody access afterwards.
ALLOWED = {
    "sites": "rows of the network",
    "devices": "rows of the network; a login to a changed destination is held",
    "devices/{pk}/default-probe-targets": "rows of the network",
    "interfaces": "rows of the network",
    "bgp-peers": "rows of the network",
    "ospf-neighbors": "rows of the network",
    "links": "rows of the network",
    "probe-targets": "rows of the network",
    "services": "rows of the network",
    "topology/dependency-groups": "rows of the network",
    "topology/resolve": "changes nothing",
    "agents": "a name or a site; creation is refused",
    "agents/{pk}/revoke": "removes access",
    "alert-rules": "thresholds",
    "alert-rules/import": "thresholds",
    "alert-rules/preview": "changes nothing",
    "alert-rules/{pk}/overrides": "thresholds",
    "alert-rules/{pk}/overrides/{override_id}": "thresholds",
    "diagnostics/connection-tests": "ends after seconds; only approved logins are sent",
    "incidents": "work on incidents",
    "maintenance-windows": "ends at its time",
    "webhook-deliveries": "sends again what was sent",
    "webhook-dead-letters/{pk}/resend": "sends again what was sent",
    "webhook-dead-letters/resend": "sends again what was sent",
    "sessions/end-others": "ends the operator's own sessions",
}
#: What is refused: each with a body that works for a member.
FORBIDDEN = {
    ("post", "agents"): {"name": "standing"},
    ("post", "agents/{pk}/enroll-token"): {},
    ("post", "agents/{pk}/assignments"): {"device_ids": []},
    ("post", "webhook-endpoints"): {"name": "standing", "url": "https://hooks.example.net/x"},
    ("patch", "webhook-endpoints/{pk}"): {"url": "https://hooks.example.net/x"},
    ("post", "webhook-endpoints/{pk}/resume"): {},
    ("post", "webhook-endpoints/{pk}/rotate-secret"): {"step": "stage"},
}
#: On endpoints that exist already: pause delivery, or send a ping to the configured URL.
ALLOWED_ON_ENDPOINTS = {
    ("post", "webhook-endpoints/{pk}/pause"),
    ("post", "webhook-endpoints/{pk}/test"),
}
WRITES = [c for c in CASES if c.method in {"post", "put", "patch"} and c.permission in BREAK_GLASS]


@pytest.fixture
def operator(acme) -> APIClient:
    """An operator with an open access session in acme, which each request names."""
    client = Caller(raise_request_exception=False, headers={"X-ISPVM-Tenant": str(acme.pk)})
    signed_in(client, make_operator())
    body = {"tenant": str(acme.pk), "reason": REASON}
    assert client.post("/api/v1/platform/access-sessions/", body, format="json").status_code == 201
    return client


def shape(case: Case) -> str:
    """The path below /api/v1/ with its ids by name."""
    path = ID.sub(lambda match: "{" + match["name"] + "}", case.path)
    return path.removeprefix("api/v1/").replace("^", "").replace("$", "").removesuffix("/")


def brief(case: Case) -> tuple[str, str]:
    return case.method, shape(case)


def resource(case: Case) -> str:
    return shape(case).partition("/{")[0]


def is_listed(case: Case) -> bool:
    is_named = brief(case) in FORBIDDEN or brief(case) in ALLOWED_ON_ENDPOINTS
    return is_named or shape(case) in ALLOWED or resource(case) in ALLOWED


@pytest.mark.parametrize("case", WRITES, ids=lambda c: f"{c.method} {c.path}")
def test_every_write_is_listed(case):
    """A new endpoint fails here until it is listed as allowed or forbidden in access sessions."""
    assert is_listed(case), f"{brief(case)}: allowed in an access session? Does it keep access?"


def test_every_forbidden_write_is_an_endpoint():
    assert {brief(case) for case in WRITES} >= {*FORBIDDEN}


@pytest.mark.parametrize(("method", "path"), list(FORBIDDEN), ids=str)
def test_standing_access_is_refused(operator, acme, acme_admin, method, path):
    with acting_in(acme):
        pk = ROWS[path.partition("/")[0]]()
        before = standing_access_ids(acme)

    answer = getattr(operator, method)(
        f"/api/v1/{path.format(pk=pk)}/", FORBIDDEN[method, path], format="json"
    )

    assert problem(answer) == REFUSED
    with acting_in(acme):
        assert standing_access_ids(acme) == before


def test_no_write_adds_standing_access(operator, acme, acme_admin):
    """Every write with the row itself as its body: what gives access is neither created nor changed."""
    with acting_in(acme):
        ids = {name: make() for name, make in NESTED.items()}
        pks = {path: make() for path, make in ROWS.items()}
        before = standing_access_ids(acme)
    sent = 0
    for case in WRITES:
        pk = pks.get(resource(case), uuid4())
        url = case.url({**ids, "pk": pk})
        answer = operator.get(f"/api/v1/{resource(case)}/{pk}/")
        row = answer.json() if answer.status_code == 200 else {}
        body = {**row, "name": f"standing {sent}"}
        with transaction.atomic():
            getattr(operator, case.method)(url, body, format="json")
        sent += 1

    assert sent > 40
    with acting_in(acme):
        assert standing_access_ids(acme) == before


#: Tables whose rows give access.
STANDING = (
    *("accounts.ApiToken", "accounts.Membership", "accounts.Invitation", "agents.Agent"),
    *(
        "agents.AgentDevice",
        "agents.AgentSite",
        "agents.AgentProbeDevice",
        "agents.EnrollmentToken",
    ),
    *("vault.CredentialSet", "inventory.DeviceCredential", "inventory.SiteGrant"),
    *("inventory.DeviceGrant", "webhooks.Endpoint", "webhooks.Secret"),
)


def standing_access_ids(tenant) -> dict[str, list]:
    """Ids of everything in a tenant that gives access, and the webhook URLs."""
    ids = {}
    for label in STANDING:
        model = django_apps.get_model(label)
        own = {} if issubclass(model, TenantModel) else {"tenant": tenant}
        rows = model._default_manager.filter(**own)
        ids[label] = sorted(map(str, rows.values_list("pk", flat=True)))
    endpoints = django_apps.get_model("webhooks.Endpoint").objects
    ids["urls"] = sorted(endpoints.values_list("url", flat=True))
    return ids


def test_services_refuse_actors_of_an_access_session(actor):
    from dataclasses import replace

    refuse_in_access_session(actor)
    with pytest.raises(StandingAccessRefused):
        refuse_in_access_session(replace(actor, access_session=str(uuid4())))


class TestReason:
    @pytest.mark.parametrize(
        "reason",
        [
            "..........", "1234567890", "- - - - - - - - - -", "aaaaaaaaaaaaaaa", "4711 4711 4711",
            "a1234567890", "abcd 1234567", "\u200b" * 20, "look\u202eafter alerts", "x" * 501, "short",
            "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669\u0660", "\u00a0" * 30, "🙂" * 12,
        ],
    )  # fmt: skip
    def test_needs_words(self, operator, acme, reason):
        assert clean_reason(reason) is None
        body = {"tenant": str(acme.pk), "reason": reason}
        answer = operator.post("/api/v1/platform/access-sessions/", body, format="json")
        assert answer.status_code in {400, 422}

    @pytest.mark.parametrize(
        "reason",
        [
            REASON,
            "  router\n cr1   is away ",
            "تنبيهات لا تنتهي",
            "路由器警報一直沒有消失請協助查看",
        ],
    )
    def test_in_any_script(self, reason):
        assert clean_reason(reason) == " ".join(reason.split())


class TestEnd:
    def session(self, acme) -> BreakGlass:
        with acting_in(acme):
            return BreakGlass.objects.get(closed_at=None)

    def last(self, acme) -> Record:
        with acting_in(acme):
            return Record.objects.latest("sequence")

    def test_is_summarized_on_exit(self, operator, acme):
        session = self.session(acme)
        for name in ("one", "two"):
            operator.post("/api/v1/sites/", {"name": name, "code": name}, format="json")
        operator.delete(f"/api/v1/platform/access-sessions/{acme.pk}/")

        ended = self.last(acme)
        assert ended.action == "platform.access_session_closed"
        assert ended.detail == {"access_session": str(session.pk), "actions": {"site.created": 2}}

    def test_is_summarized_on_expiry(self, operator, acme, monkeypatch):
        session = self.session(acme)
        operator.post("/api/v1/sites/", {"name": "one", "code": "one"}, format="json")
        due = Due.objects.get(kind=END_ACCESS_SESSION, ref=str(session.pk))
        assert due.next_due_at == session.expires_at

        end_access_session(tenant_id=str(acme.pk), ref=str(session.pk))
        assert self.last(acme).action == "site.created", "not yet over"
        late = session.expires_at + timedelta(seconds=1)
        monkeypatch.setattr(clock, "now", lambda: late)
        for _ in range(2):
            end_access_session(tenant_id=str(acme.pk), ref=str(session.pk))

        ended = self.last(acme)
        assert ended.action == "platform.access_session_expired"
        assert ended.detail == {"access_session": str(session.pk), "actions": {"site.created": 1}}
        with acting_in(acme):
            assert BreakGlass.objects.get().closed_at == session.expires_at
            assert Record.objects.filter(action="platform.access_session_expired").count() == 1
        assert not Due.objects.filter(kind=END_ACCESS_SESSION).exists()

    def test_is_summarized_when_another_one_is_opened(self, operator, acme):
        operator.post("/api/v1/sites/", {"name": "one", "code": "one"}, format="json")
        body = {"tenant": str(acme.pk), "reason": REASON}
        operator.post("/api/v1/platform/access-sessions/", body, format="json")

        with acting_in(acme):
            ended = Record.objects.get(action="platform.access_session_closed")
        assert ended.detail["actions"] == {"site.created": 1}


def actor_in(session: BreakGlass) -> Actor:
    return Actor("user", str(session.user_id), "Root Operator", access_session=str(session.pk))


class TestPage:
    def test_lists_access_sessions_with_their_records(self, operator, acme, acme_auditor, client):
        operator.post("/api/v1/sites/", {"name": "Their site", "code": "v"}, format="json")
        operator.delete(f"/api/v1/platform/access-sessions/{acme.pk}/")
        signed_in(client, acme_auditor)

        page = client.get("/access-sessions/").content.decode()

        assert REASON in page
        assert "site.created" in page
        assert "Their site" in page
        assert "/access-sessions/" in client.get("/tenants/").content.decode()

    def test_shows_the_first_records_of_each_session(self, operator, acme, acme_auditor, client):
        """A session with many records hides none of the one after it."""
        with acting_in(acme):
            busy = BreakGlass.objects.get()
            record_all(
                PendingRecord("site.updated", actor_in(busy), ("site", n), busy.opened_at)
                for n in range(MAX_RECORDS + 1)
            )
        body = {"tenant": str(acme.pk), "reason": REASON}
        operator.post("/api/v1/platform/access-sessions/", body, format="json")
        operator.post("/api/v1/sites/", {"name": "Later site", "code": "l"}, format="json")

        with acting_in(acme):
            rows = [BreakGlass.objects.get(closed_at=None), BreakGlass.objects.get(pk=busy.pk)]
            with CaptureQueriesContext(connection) as queries:
                later, first = access_sessions_with_records(rows)
        assert len(queries) == 1
        assert [entry.action for entry in later.records] == ["site.created"]
        assert not later.has_more
        assert [entry.entity_id for entry in first.records] == [str(n) for n in range(MAX_RECORDS)]
        assert first.has_more
        signed_in(client, acme_auditor)
        page = client.get("/access-sessions/").content.decode()
        assert "Later site" in page
        assert page.count("More entries") == 1
        assert "Nothing was changed" not in page

    @pytest.mark.django_db(transaction=True)
    def test_reads_a_long_audit_log_by_the_partial_index(self, operator, acme, actor):
        """Committed and analyzed: without statistics every index is as good as another to the planner."""
        with acting_in(acme):
            session = BreakGlass.objects.get()
            at = session.opened_at
            record_all(PendingRecord("site.updated", actor, ("site", n), at) for n in range(3_000))
            record_all([PendingRecord("site.updated", actor_in(session), ("site", "x"), at)])
        with as_owner(settings.DATABASES["default"]["NAME"]) as owner:
            owner.execute("ANALYZE audit_record")
        with acting_in(acme):
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")
            plan = records_of(session).explain()

            assert records_of(session).count() == 1
        assert "audit_record_session_idx" in plan

    def test_requires_the_audit_permission(self, client, acme_noc):
        signed_in(client, acme_noc)

        assert client.get("/access-sessions/").status_code == 403
        assert "/access-sessions/" not in client.get("/tenants/").content.decode()
