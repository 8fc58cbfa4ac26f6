"""A platform operator's visit leaves nothing behind that gives access after its end."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.apps import apps as django_apps
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.errors import VisitLeavesNothing
from apps.accounts.models import BreakGlass
from apps.accounts.platform import END_VISIT
from apps.accounts.tasks import end_visit
from apps.accounts.visits import MOST_ACTS, acts_of, clean_reason, refuse_in_visit, visits_with_acts
from apps.audit.models import Record
from apps.audit.services import Act, record_all
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

pytestmark = pytest.mark.django_db

REASON = "ticket 4711: their BGP alerts do not clear"
REFUSED = (403, "visit_leaves_nothing")
#: What a visit may write, and why that gives nobody access afterwards.
MAY_WRITE = {
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
    "topology/resolve": "a question",
    "agents": "a name or a place; creation is refused",
    "agents/{pk}/revoke": "takes access away",
    "alert-rules": "thresholds",
    "alert-rules/import": "thresholds",
    "alert-rules/preview": "a question",
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
#: What it may not: each with a body that works for a member.
REFUSING = {
    ("post", "agents"): {"name": "left-behind"},
    ("post", "agents/{pk}/enroll-token"): {},
    ("post", "agents/{pk}/assignments"): {"device_ids": []},
    ("post", "webhook-endpoints"): {"name": "left-behind", "url": "https://hooks.example.net/x"},
    ("patch", "webhook-endpoints/{pk}"): {"url": "https://hooks.example.net/x"},
    ("post", "webhook-endpoints/{pk}/resume"): {},
    ("post", "webhook-endpoints/{pk}/rotate-secret"): {"step": "stage"},
}
#: Of endpoints that are there; these hold back, or send a ping to where events go already.
HARMLESS = {("post", "webhook-endpoints/{pk}/pause"), ("post", "webhook-endpoints/{pk}/test")}
WRITES = [c for c in CASES if c.method in {"post", "put", "patch"} and c.permission in BREAK_GLASS]


@pytest.fixture
def visitor(acme) -> APIClient:
    """An operator in acme, named on each request."""
    client = Caller(raise_request_exception=False, headers={"X-ISPVM-Tenant": str(acme.pk)})
    signed_in(client, make_operator())
    body = {"tenant": str(acme.pk), "reason": REASON}
    assert client.post("/api/v1/platform/stays/", body, format="json").status_code == 201
    return client


def shape(case: Case) -> str:
    """The path below /api/v1/ with its ids by name."""
    named = ID.sub(lambda found: "{" + found["name"] + "}", case.path)
    return named.removeprefix("api/v1/").replace("^", "").replace("$", "").removesuffix("/")


def brief(case: Case) -> tuple[str, str]:
    return case.method, shape(case)


def resource(case: Case) -> str:
    return shape(case).partition("/{")[0]


def is_listed(case: Case) -> bool:
    is_named = brief(case) in REFUSING or brief(case) in HARMLESS
    return is_named or shape(case) in MAY_WRITE or resource(case) in MAY_WRITE


@pytest.mark.parametrize("case", WRITES, ids=lambda c: f"{c.method} {c.path}")
def test_every_write_of_a_visit_is_decided_on(case):
    """A new endpoint fails here until somebody says what a visit may do with it."""
    assert is_listed(case), f"{brief(case)}: may a visit do this? Does it outlast the visit?"


def test_every_decision_is_about_an_endpoint():
    assert {brief(case) for case in WRITES} >= {*REFUSING}


@pytest.mark.parametrize(("method", "path"), list(REFUSING), ids=str)
def test_what_would_outlast_the_visit_is_refused(visitor, acme, acme_admin, method, path):
    with acting_in(acme):
        pk = ROWS[path.partition("/")[0]]()
        before = standing(acme)

    answer = getattr(visitor, method)(
        f"/api/v1/{path.format(pk=pk)}/", REFUSING[method, path], format="json"
    )

    assert problem(answer) == REFUSED
    with acting_in(acme):
        assert standing(acme) == before


def test_everything_that_it_may_send_adds_no_standing_access(visitor, acme, acme_admin):
    """Every write with the shown row as its body: what gives access is neither made nor changed."""
    with acting_in(acme):
        ids = {name: make() for name, make in NESTED.items()}
        pks = {path: make() for path, make in ROWS.items()}
        before = standing(acme)
    sent = 0
    for case in WRITES:
        pk = pks.get(resource(case), uuid4())
        url = case.url({**ids, "pk": pk})
        shown = visitor.get(f"/api/v1/{resource(case)}/{pk}/")
        row = shown.json() if shown.status_code == 200 else {}
        body = {**row, "name": f"left behind {sent}"}
        with transaction.atomic():
            getattr(visitor, case.method)(url, body, format="json")
        sent += 1

    assert sent > 40
    with acting_in(acme):
        assert standing(acme) == before


#: Tables whose rows give access.
STANDING = (
    *("accounts.ApiToken", "accounts.Membership", "accounts.Invitation", "agents.Agent"),
    *("agents.AgentDevice", "agents.AgentSite", "agents.AgentProbing", "agents.EnrollmentToken"),
    *("vault.CredentialSet", "inventory.DeviceCredential", "inventory.SiteGrant"),
    *("inventory.DeviceGrant", "webhooks.Endpoint", "webhooks.Secret"),
)


def standing(tenant) -> dict[str, list]:
    """Ids of everything in a tenant that gives access, and the URLs that are told."""
    found = {}
    for label in STANDING:
        model = django_apps.get_model(label)
        own = {} if issubclass(model, TenantModel) else {"tenant": tenant}
        rows = model._default_manager.filter(**own)
        found[label] = sorted(map(str, rows.values_list("pk", flat=True)))
    endpoints = django_apps.get_model("webhooks.Endpoint").objects
    found["urls"] = sorted(endpoints.values_list("url", flat=True))
    return found


def test_services_refuse_whoever_acts_in_a_visit(actor):
    from dataclasses import replace

    refuse_in_visit(actor)
    with pytest.raises(VisitLeavesNothing):
        refuse_in_visit(replace(actor, visit=str(uuid4())))


class TestReason:
    @pytest.mark.parametrize(
        "reason",
        [
            "..........", "1234567890", "- - - - - - - - - -", "aaaaaaaaaaaaaaa", "4711 4711 4711",
            "a1234567890", "abcd 1234567", "\u200b" * 20, "look\u202eafter alerts", "x" * 501, "short",
            "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669\u0660", "\u00a0" * 30, "🙂" * 12,
        ],
    )  # fmt: skip
    def test_says_something(self, visitor, acme, reason):
        assert clean_reason(reason) is None
        body = {"tenant": str(acme.pk), "reason": reason}
        answer = visitor.post("/api/v1/platform/stays/", body, format="json")
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
    def visit(self, acme) -> BreakGlass:
        with acting_in(acme):
            return BreakGlass.objects.get(closed_at=None)

    def last(self, acme) -> Record:
        with acting_in(acme):
            return Record.objects.latest("sequence")

    def test_lists_what_was_done_when_they_leave(self, visitor, acme):
        visit = self.visit(acme)
        for name in ("one", "two"):
            visitor.post("/api/v1/sites/", {"name": name, "code": name}, format="json")
        visitor.delete(f"/api/v1/platform/stays/{acme.pk}/")

        ended = self.last(acme)
        assert ended.action == "platform.left"
        assert ended.detail == {"visit": str(visit.pk), "acts": {"site.created": 2}}

    def test_lists_it_too_when_the_time_is_over(self, visitor, acme, monkeypatch):
        visit = self.visit(acme)
        visitor.post("/api/v1/sites/", {"name": "one", "code": "one"}, format="json")
        due = Due.objects.get(kind=END_VISIT, ref=str(visit.pk))
        assert due.next_due_at == visit.expires_at

        end_visit(tenant_id=str(acme.pk), ref=str(visit.pk))
        assert self.last(acme).action == "site.created", "not yet over"
        late = visit.expires_at + timedelta(seconds=1)
        monkeypatch.setattr(clock, "now", lambda: late)
        for _ in range(2):
            end_visit(tenant_id=str(acme.pk), ref=str(visit.pk))

        ended = self.last(acme)
        assert ended.action == "platform.visit_expired"
        assert ended.detail == {"visit": str(visit.pk), "acts": {"site.created": 1}}
        with acting_in(acme):
            assert BreakGlass.objects.get().closed_at == visit.expires_at
            assert Record.objects.filter(action="platform.visit_expired").count() == 1
        assert not Due.objects.filter(kind=END_VISIT).exists()

    def test_another_visit_lists_the_one_before(self, visitor, acme):
        visitor.post("/api/v1/sites/", {"name": "one", "code": "one"}, format="json")
        body = {"tenant": str(acme.pk), "reason": REASON}
        visitor.post("/api/v1/platform/stays/", body, format="json")

        with acting_in(acme):
            ended = Record.objects.get(action="platform.left")
        assert ended.detail["acts"] == {"site.created": 1}


def visiting(visit: BreakGlass) -> Actor:
    return Actor("user", str(visit.user_id), "Root Operator", visit=str(visit.pk))


class TestPage:
    def test_lists_visits_with_what_was_done(self, visitor, acme, acme_auditor, client):
        visitor.post("/api/v1/sites/", {"name": "Visited site", "code": "v"}, format="json")
        visitor.delete(f"/api/v1/platform/stays/{acme.pk}/")
        signed_in(client, acme_auditor)

        page = client.get("/visits/").content.decode()

        assert REASON in page
        assert "site.created" in page
        assert "Visited site" in page
        assert "/visits/" in client.get("/tenants/").content.decode()

    def test_shows_of_each_visit_the_first_acts(self, visitor, acme, acme_auditor, client):
        """A busy visit takes nothing from the one after it."""
        with acting_in(acme):
            busy = BreakGlass.objects.get()
            record_all(
                Act("site.updated", visiting(busy), ("site", n), busy.opened_at)
                for n in range(MOST_ACTS + 1)
            )
        body = {"tenant": str(acme.pk), "reason": REASON}
        visitor.post("/api/v1/platform/stays/", body, format="json")
        visitor.post("/api/v1/sites/", {"name": "Later site", "code": "l"}, format="json")

        with acting_in(acme):
            rows = [BreakGlass.objects.get(closed_at=None), BreakGlass.objects.get(pk=busy.pk)]
            with CaptureQueriesContext(connection) as asked:
                later, first = visits_with_acts(rows)
        assert len(asked) == 1
        assert [act.action for act in later.acts] == ["site.created"]
        assert not later.has_more
        assert [act.entity_id for act in first.acts] == [str(n) for n in range(MOST_ACTS)]
        assert first.has_more
        signed_in(client, acme_auditor)
        page = client.get("/visits/").content.decode()
        assert "Later site" in page
        assert page.count("And more") == 1
        assert "Nothing was changed" not in page

    def test_reads_a_long_audit_log_by_the_index_of_visits(self, visitor, acme, actor):
        with acting_in(acme):
            visit = BreakGlass.objects.get()
            at = visit.opened_at
            record_all(Act("site.updated", actor, ("site", n), at) for n in range(3_000))
            record_all([Act("site.updated", visiting(visit), ("site", "x"), at)])
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")
            plan = acts_of(visit).explain()

            assert acts_of(visit).count() == 1
        assert "audit_record_visit_idx" in plan

    def test_is_for_who_reads_the_audit_log(self, client, acme_noc):
        signed_in(client, acme_noc)

        assert client.get("/visits/").status_code == 403
        assert "/visits/" not in client.get("/tenants/").content.decode()
