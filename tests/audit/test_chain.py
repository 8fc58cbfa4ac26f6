from datetime import UTC, datetime

import pytest
from django.db import connection

from apps.audit.models import PlatformRecord, Record
from apps.audit.services import record, record_platform
from apps.audit.verification import verify_tenant_chain
from apps.authorization.actors import Actor
from apps.tenancy import acting_in

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ACTOR = Actor("user", "u1", "Ruth Kamau")


def act(n: int) -> None:
    record(action="thing.done", actor=ACTOR, entity=("thing", n), at=AT, detail={"n": n})


@pytest.mark.django_db
class TestRecord:
    def test_numbers_records_without_gaps_and_the_chain_verifies(self, in_acme):
        for n in range(5):
            act(n)

        assert list(Record.objects.order_by("sequence").values_list("sequence", flat=True)) == [
            1, 2, 3, 4, 5,
        ]  # fmt: skip
        assert verify_tenant_chain() is None

    def test_is_rolled_back_with_the_action(self, acme):
        with pytest.raises(ZeroDivisionError), acting_in(acme):
            act(1)
            raise ZeroDivisionError

        with acting_in(acme):
            act(2)
            assert [r.sequence for r in Record.objects.all()] == [1]

    def test_keeps_a_chain_per_tenant(self, acme, globex):
        with acting_in(acme):
            act(1)
        with acting_in(globex):
            act(2)
            assert [r.sequence for r in Record.objects.all()] == [1]

    def test_platform_actions_have_their_own_chain(self, db):
        for n in range(3):
            record_platform(action="sign_in.failed", actor=ACTOR, entity=("user", n), at=AT)

        assert list(PlatformRecord.objects.order_by("id").values_list("sequence", flat=True)) == [
            1, 2, 3,
        ]  # fmt: skip


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
@pytest.mark.parametrize(
    ("statement", "first_bad"),
    [
        ("UPDATE audit_record SET action = 'other' WHERE sequence = 3", 3),
        ("UPDATE audit_record SET detail = '{\"n\": 9}' WHERE sequence = 2", 2),
        ("DELETE FROM audit_record WHERE sequence = 1", 1),
        ("DELETE FROM audit_record WHERE sequence = 4", 4),
        ("UPDATE audit_record SET at = at + interval '1 microsecond' WHERE sequence = 5", 5),
    ],
)
def test_a_changed_or_missing_record_is_reported(acme, statement, first_bad):
    from django.db import connections, transaction

    with acting_in(acme):
        for n in range(5):
            act(n)
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SELECT set_config('ispvm.tenant_id', %s, true)", [str(acme.id)])
        cursor.execute(statement)
        assert cursor.rowcount == 1

    with acting_in(acme):
        assert verify_tenant_chain() == first_bad
    assert connection.alias == "default"
