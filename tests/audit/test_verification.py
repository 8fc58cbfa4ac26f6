"""Whether a chain is intact: by command, by REST, by page and in the background; faults are reported."""

import json
from datetime import UTC, datetime, timedelta, timezone
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.audit import background, verification
from apps.audit.chain import GENESIS, Checkpoint, Fault, digest_of, normalize_for_jsonb
from apps.audit.models import Head, PlatformRecord, Record, Verification
from apps.audit.services import (
    VERIFY,
    VERIFY_EVERY,
    PendingRecord,
    record,
    record_all,
    record_platform,
)
from apps.audit.verification import State, verify_step
from apps.authorization.actors import Actor
from apps.events.gauges import read_gauges
from apps.events.models import Due
from apps.tenancy import acting_in
from tests.clients import bearer, problem, queries, signed_in
from tests.database import as_owner

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ACTOR = Actor("user", "u1", "Ruth Kamau")
URL = "/api/v1/audit-logs/verify/"


def act(n: int, **detail) -> Record:
    return record(
        action="thing.done", actor=ACTOR, entity=("thing", n), at=AT, detail={"n": n, **detail}
    )


def fill(tenant, number: int) -> None:
    with acting_in(tenant):
        acts = [
            PendingRecord("thing.done", ACTOR, ("thing", n), AT, {"n": n}) for n in range(number)
        ]
        record_all(acts)


def tamper(tenant, *statements: str) -> None:
    """Change rows as the database owner."""
    from django.conf import settings as django_settings

    with as_owner(django_settings.DATABASES["default"]["NAME"]) as cursor:
        cursor.execute("SELECT set_config('ispvm.tenant_id', %s, false)", [str(tenant.id)])
        for statement in statements:
            cursor.execute(statement)
            assert cursor.rowcount >= 1, statement


def verify(*arguments: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    out = StringIO()
    try:
        call_command("audit", "verify", *arguments, stdout=out)
    except SystemExit as ended:
        return int(ended.code), out.getvalue()
    return 0, out.getvalue()


def rewrite_from(tenant, sequence: int) -> None:
    """Change a record and every hash after it, the head too: only a saved head detects it."""
    with acting_in(tenant):
        rows = list(Record.objects.filter(sequence__gte=sequence).order_by("sequence"))
        previous = bytes(rows[0].previous)
    statements = []
    for row in rows:
        fields = {
            "sequence": row.sequence, "at": row.at, "action": row.action, "actor": row.actor,
            "entity_type": row.entity_type, "entity_id": "other", "detail": row.detail,
        }  # fmt: skip
        digest = digest_of(**fields, previous=previous)
        statements.append(
            f"UPDATE audit_record SET entity_id = 'other', previous = '\\x{previous.hex()}',"
            f" digest = '\\x{digest.hex()}' WHERE sequence = {row.sequence}"
        )
        previous = digest
    statements.append(f"UPDATE audit_head SET digest = '\\x{previous.hex()}'")
    tamper(tenant, *statements)


TAMPERINGS = {
    "changed": (["UPDATE audit_record SET action = 'other' WHERE sequence = 3"], 3, "changed"),
    "detail": (["UPDATE audit_record SET detail = '{}' WHERE sequence = 2"], 2, "changed"),
    "first gone": (["DELETE FROM audit_record WHERE sequence = 1"], 1, "missing"),
    "one gone": (["DELETE FROM audit_record WHERE sequence = 4"], 4, "missing"),
    "tail gone": (["DELETE FROM audit_record WHERE sequence > 4"], 5, "cut"),
    "all gone": (["DELETE FROM audit_record"], 1, "cut"),
    "head gone": (["DELETE FROM audit_head"], 1, "beyond_head"),
    "head set back": (
        ["UPDATE audit_head SET sequence = 4, digest = (SELECT digest FROM audit_record WHERE sequence = 4)"],
        5,
        "beyond_head",
    ),
    "head differs": (["UPDATE audit_head SET digest = '\\x00'"], 6, "head_differs"),
    "two swapped": (
        [
            "UPDATE audit_record SET sequence = 99 WHERE sequence = 2",
            "UPDATE audit_record SET sequence = 2 WHERE sequence = 3",
            "UPDATE audit_record SET sequence = 3 WHERE sequence = 99",
        ],
        2,
        "changed",
    ),
}  # fmt: skip


@pytest.mark.django_db(transaction=True)
class TestCommand:
    @pytest.mark.parametrize(
        ("statements", "first_bad", "fault"), TAMPERINGS.values(), ids=TAMPERINGS
    )
    def test_reports_the_fault(self, acme, monkeypatch, statements, first_bad, fault):
        monkeypatch.setattr(verification, "STEP", 2)
        fill(acme, 6)
        assert verify("--tenant", "acme")[0] == 0
        tamper(acme, *statements)

        code, output = verify("--tenant", "acme")

        assert code == 1
        assert f"acme: BROKEN at record {first_bad} ({fault})" in output

    def test_a_rewritten_chain_is_detected_by_a_saved_head(self, acme):
        fill(acme, 6)
        saved_head = verify("--tenant", "acme")[1].split()[-1]
        rewrite_from(acme, 3)

        assert verify("--tenant", "acme")[0] == 0
        code, output = verify("--tenant", "acme", "--head", saved_head)

        assert (code, "BROKEN at record 6 (head_differs)" in output) == (1, True)

    def test_a_rehashed_record_is_detected_by_the_next_one(self, acme):
        fill(acme, 6)
        with acting_in(acme):
            row = Record.objects.get(sequence=3)
        digest = digest_of(
            sequence=3,
            at=row.at,
            action=row.action,
            actor=row.actor,
            entity_type=row.entity_type,
            entity_id="other",
            detail=row.detail,
            previous=bytes(row.previous),
        )
        tamper(
            acme,
            f"UPDATE audit_record SET entity_id = 'other', digest = '\\x{digest.hex()}' WHERE sequence = 3",
        )

        code, output = verify("--tenant", "acme")

        assert (code, "BROKEN at record 4 (unlinked)" in output) == (1, True)

    def test_a_truncated_chain_is_detected_by_a_saved_head(self, acme):
        fill(acme, 6)
        saved_head = verify("--tenant", "acme")[1].split()[-1]
        cut = "(SELECT digest FROM audit_record WHERE sequence = 4)"
        tamper(
            acme,
            f"UPDATE audit_head SET sequence = 4, digest = {cut}",
            "DELETE FROM audit_record WHERE sequence > 4",
        )

        assert verify("--tenant", "acme")[0] == 0
        code, output = verify("--tenant", "acme", "--head", saved_head)

        assert (code, "BROKEN at record 5 (cut)" in output) == (1, True)

    def test_verifies_all_chains(self, acme, globex):
        fill(acme, 3)
        fill(globex, 2)
        record_platform(action="sign_in.failed", actor=ACTOR, entity=("user", 1), at=AT)
        assert PlatformRecord.objects.count() == 1

        code, output = verify("--all")

        assert code == 0
        lines = [line.partition(", head")[0] for line in output.splitlines()]
        assert lines == [
            "acme: intact, 3 records", "globex: intact, 2 records", "(platform): intact, 1 records",
        ]  # fmt: skip
        tamper(globex, "UPDATE audit_record SET action = 'x' WHERE sequence = 2")
        tamper(acme, "UPDATE audit_platformrecord SET action = 'x' WHERE sequence = 1")
        code, output = verify("--all")
        assert (code, output.count("BROKEN")) == (1, 2)
        assert "acme: intact" in output

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["--tenant", "nobody"],
            ["--all", "--head", f"1:{'0' * 64}"],
            ["--tenant", "acme", "--head", "1:00"],
        ],
    )
    def test_wrong_usage_is_an_error(self, acme, globex, arguments):
        with pytest.raises(CommandError) as caught:
            verify(*arguments)

        assert caught.value.returncode == 2


@pytest.mark.django_db
class TestStep:
    def test_query_and_row_counts_are_bounded(self, acme):
        fill(acme, 30)
        with acting_in(acme):
            few = queries(lambda: verify_step(limit=10))
            step = verify_step(limit=10)
        fill(acme, 300)

        with acting_in(acme):
            assert queries(lambda: verify_step(limit=10)) == few <= 3
        assert (step.state, step.position.sequence) == (State.IN_PROGRESS, 10)

    def test_an_empty_chain_is_intact(self, in_acme):
        assert verify_step().state is State.INTACT
        assert verify_step().position == Checkpoint(0, GENESIS)

    def test_exactly_one_step_long(self, in_acme):
        for n in range(4):
            act(n)

        step = verify_step(limit=4)

        assert (step.state, step.position.sequence) == (State.INTACT, 4)

    def test_time_zone_does_not_change_the_hash(self, in_acme):
        nairobi = AT.astimezone(timezone(timedelta(hours=3)))
        record(action="a", actor=ACTOR, entity=("thing", 1), at=nairobi)

        assert verify_step().state is State.INTACT

    def test_numbers_that_jsonb_changes_are_normalized(self, in_acme):
        act(1, small=-0.0, large=1e20, huge=10**30, nested=[{"x": 1e16}])

        assert verify_step().state is State.INTACT
        detail = Record.objects.get().detail
        assert (detail["large"], detail["huge"]) == ("1e+20", str(10**30))

    def test_records_without_normalization_are_valid(self, in_acme, monkeypatch):
        monkeypatch.setattr("apps.audit.services.normalize_for_jsonb", dict)
        act(1, speed=1e16, other=1e300)
        assert Record.objects.get().detail["speed"] == 10**16

        assert verify_step().state is State.INTACT

    @settings(max_examples=60, deadline=None, database=None)
    @given(
        st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.floats(allow_nan=False, allow_infinity=False)
                | st.text(
                    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5
                ),
                lambda inner: st.lists(inner, max_size=3),
                max_leaves=4,
            ),
            max_size=4,
        )
    )
    def test_any_detail_round_trips(self, detail):
        """What PostgreSQL gives back of a JSON document is what was hashed."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s::jsonb", [json.dumps(normalize_for_jsonb(detail))])
            back = cursor.fetchone()[0]
        back = json.loads(back) if isinstance(back, str) else back
        fields = {
            "sequence": 1, "at": AT, "action": "a", "actor": {}, "entity_type": "t",
            "entity_id": "1", "previous": GENESIS,
        }  # fmt: skip

        assert digest_of(**fields, detail=back) == digest_of(
            **fields, detail=normalize_for_jsonb(detail)
        )


@pytest.mark.django_db
class TestRest:
    @pytest.fixture
    def auditor(self, acme, acme_auditor):
        return bearer(acme, acme_auditor)

    def test_is_read_step_by_step(self, acme, auditor, monkeypatch):
        fill(acme, 5)
        monkeypatch.setattr(verification, "STEP", 3)
        first = auditor.get(URL).json()
        assert (first["state"], first["verified_to"]) == ("in_progress", 3)

        last = auditor.get(URL, {"cursor": first["cursor"], "head": first["head"]}).json()

        assert (last["state"], last["first_bad"], last["cursor"]) == ("intact", None, None)
        assert last["verified_to"] == int(last["head"].partition(":")[0])

    def test_names_the_first_bad_record(self, acme, auditor):
        fill(acme, 3)
        with acting_in(acme):
            Head.objects.update(sequence=Record.objects.count() + 2)

        answer = auditor.get(URL).json()

        assert (answer["state"], answer["fault"]) == ("broken", "cut")
        assert answer["first_bad"] == answer["verified_to"] + 1

    def test_a_saved_head_is_checked(self, acme, auditor):
        fill(acme, 3)

        answer = auditor.get(URL, {"head": f"1:{'0' * 64}"}).json()

        assert (answer["state"], answer["first_bad"], answer["fault"]) == (
            "broken", 1, "head_differs",
        )  # fmt: skip

    @pytest.mark.parametrize(
        "query", [{"cursor": "x"}, {"cursor": ""}, {"head": ""}, {"head": "0:00"}, {"other": "1"}]
    )
    def test_refuses_forged_cursors(self, auditor, query):
        assert problem(auditor.get(URL, query)) == (400, "invalid")

    def test_refuses_another_tenants_cursor(self, acme, globex, auditor, globex_admin, monkeypatch):
        monkeypatch.setattr(verification, "STEP", 2)
        fill(globex, 5)
        cursor = bearer(globex, globex_admin).get(URL).json()["cursor"]

        assert problem(auditor.get(URL, {"cursor": cursor})) == (400, "invalid")

    def test_requires_the_audit_permission(self, acme, acme_noc):
        assert problem(bearer(acme, acme_noc).get(URL)) == (403, "permission_denied")

    def test_the_log_is_listed_newest_first(self, acme, auditor):
        fill(acme, 3)

        rows = auditor.get("/api/v1/audit-logs/?entity_type=thing").json()["results"]

        assert [row["entity_id"] for row in rows] == ["2", "1", "0"]
        assert rows[0]["actor"]["label"] == "Ruth Kamau"
        assert len(rows[0]["hash"]) == 64


@pytest.mark.django_db(transaction=True)
class TestInTheBackground:
    def go(self, tenant, may_continue=lambda: True, at=AT):
        return background.continue_verification(
            tenant_id=tenant.id, at=at, may_continue=may_continue
        )

    def test_the_first_record_schedules_it(self, acme):
        fill(acme, 2)
        fill(acme, 2)

        due = Due.objects.get(kind=VERIFY, tenant_id=acme.id)
        assert due.next_due_at == AT + VERIFY_EVERY

    def test_continues_where_it_stopped(self, acme, monkeypatch):
        monkeypatch.setattr(verification, "STEP", 2)
        fill(acme, 5)

        first = self.go(acme, may_continue=lambda: False)

        assert (first.state, first.position.sequence) == (State.IN_PROGRESS, 2)
        assert Due.objects.get(kind=VERIFY, tenant_id=acme.id).next_due_at == AT
        assert self.go(acme).state is State.INTACT
        with acting_in(acme):
            row = Verification.objects.get()
        assert (row.verified_to, row.first_bad, row.finished_at) == (5, None, AT)

    def test_a_later_change_of_an_old_record_is_found_by_the_next_pass(self, acme):
        fill(acme, 5)
        assert self.go(acme).state is State.INTACT
        tamper(acme, "UPDATE audit_record SET action = 'x' WHERE sequence = 2")

        assert self.go(acme).first_bad == 2
        found = read_gauges(AT + timedelta(hours=1))
        assert found["ispvm_audit_chains_broken",] == 1
        assert found["ispvm_audit_verified_age_seconds",] == 3600


@pytest.mark.django_db
class TestPage:
    @pytest.fixture
    def page(self, acme_auditor) -> Client:
        return signed_in(Client(), acme_auditor)

    def response(self, browser: Client, /, **query: str) -> str:
        answer = browser.get(reverse("accounts:audit"), query)
        assert answer.status_code == 200
        return answer.content.decode()

    def test_says_whether_the_chain_is_intact(self, acme, page):
        fill(acme, 3)
        assert "Not verified yet" in self.response(page)
        answer = page.post(reverse("accounts:verify-audit"))
        assert answer["Location"] == reverse("accounts:audit")
        assert Due.objects.get(kind=VERIFY, tenant_id=acme.id).next_due_at > AT
        background.continue_verification(tenant_id=acme.id, at=AT, may_continue=lambda: True)
        assert "Intact" in self.response(page)

        with acting_in(acme):
            Verification.objects.update(first_bad=2, fault=Fault.CHANGED)

        assert "The chain is broken at record 2." in self.response(page)
        assert "The content of the record was changed." in self.response(page)

    def test_searches_records(self, acme, page):
        with acting_in(acme):
            act(1, name="core-router")
            record(action="other.done", actor=Actor("user", "u2", "Ivo"), entity=("x", 7), at=AT)

        assert "core-router" in self.response(page, action="thing")
        assert "other.done" not in self.response(page, action="thing")
        assert "core-router" not in self.response(page, actor="ivo")
        assert "core-router" in self.response(page, object="router")
        assert "No matching records." in self.response(page, object="nothing")

    def test_query_count_is_the_same_for_5000_records(self, acme, page):
        fill(acme, 3)
        self.response(page)
        few = queries(lambda: self.response(page))
        fill(acme, 5_000)

        assert queries(lambda: self.response(page)) == few
        assert self.response(page, page="2").count("data-row") == 50

    def test_another_tenants_records_are_hidden(self, globex, page):
        with acting_in(globex):
            act(1, name="their-router")

        assert "their-router" not in self.response(page)
