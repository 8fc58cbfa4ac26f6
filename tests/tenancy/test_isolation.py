"""What the app role can and cannot do, asked of the real database."""

import uuid

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.events.models import OutboxDelivery, OutboxEvent
from apps.tenancy import acting_in, current_tenant_id
from apps.tenancy.catalog import GLOBAL_TABLES

pytestmark = pytest.mark.django_db


def _relations(kinds: str) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = ANY(%s) AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
            " AND n.nspname NOT LIKE 'pg_%%' ORDER BY 1, 2",
            [list(kinds)],
        )
        return cursor.fetchall()


def _count(name: str) -> int | None:
    """Rows that this role sees; None when it may not even ask."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {name}")
            return cursor.fetchone()[0]
    except DatabaseError:
        return None


def make_event(at, **fields) -> OutboxEvent:
    return OutboxEvent.objects.create(topic="t", key="k", payload={}, created_at=at, **fields)


@pytest.fixture
def foreign_event(globex, at):
    with acting_in(globex):
        return make_event(at)


@pytest.fixture
def at():
    from apps.core import clock

    return clock.now()


class TestWithoutATenant:
    def test_sees_no_row_in_any_tenant_table_partition_or_view(self, foreign_event):
        relations = _relations("rpvm")
        tenant_relations = [(s, r) for s, r in relations if r not in GLOBAL_TABLES]

        seen = {f"{s}.{r}": _count(f'"{s}"."{r}"') for s, r in tenant_relations}

        assert len(seen) > 5
        assert {name: n for name, n in seen.items() if n} == {}

    def test_cannot_write(self, globex, at):
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            make_event(at, tenant=globex)


class TestWithAnotherTenant:
    def test_a_foreign_row_cannot_be_read_changed_or_deleted(self, acme, foreign_event):
        with acting_in(acme):
            assert not OutboxEvent.objects.filter(pk=foreign_event.pk).exists()
            assert OutboxEvent.objects.filter(pk=foreign_event.pk).update(topic="stolen") == 0
            assert OutboxEvent.objects.filter(pk=foreign_event.pk).delete()[0] == 0
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM events_outboxevent WHERE true OR 1=1")
                assert cursor.fetchone()[0] == 0

    def test_a_foreign_row_cannot_be_referenced(self, acme, foreign_event, at):
        with pytest.raises(IntegrityError, match="tenant_fk"), acting_in(acme):
            OutboxDelivery.objects.create(
                event_id=foreign_event.pk, subscriber="s", key="k", position=1, next_attempt_at=at
            )
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def test_a_row_cannot_be_written_for_or_moved_to_another_tenant(self, acme, globex, at):
        with acting_in(acme):
            own = make_event(at)
            with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
                make_event(at, tenant=globex)
            with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
                OutboxEvent.objects.filter(pk=own.pk).update(tenant=globex)

    def test_the_app_role_cannot_switch_row_security_off(self, acme, foreign_event):
        with (
            acting_in(acme),
            pytest.raises(DatabaseError),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute("SET LOCAL row_security = off")
            cursor.execute("SELECT count(*) FROM events_outboxevent")

    @pytest.mark.parametrize(
        "statement",
        [
            "TRUNCATE events_outboxevent CASCADE",
            "SET ROLE ispvm_owner",
            "ALTER TABLE events_outboxevent DISABLE ROW LEVEL SECURITY",
            "UPDATE audit_record SET action = 'x'",
            "DELETE FROM audit_record",
            "CREATE TABLE mine (id int)",
        ],
    )
    def test_the_app_role_is_refused(self, acme, statement):
        with (
            acting_in(acme),
            pytest.raises(DatabaseError),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


class TestActingIn:
    def test_restores_the_outer_tenant_when_nested(self, acme, globex, at):
        with acting_in(acme):
            with acting_in(globex):
                make_event(at)
                assert current_tenant_id() == globex.id
            assert current_tenant_id() == acme.id
            assert OutboxEvent.objects.count() == 0

    def test_restores_the_outer_tenant_after_an_error(self, acme, globex, at):
        with acting_in(acme):
            with pytest.raises(ZeroDivisionError), acting_in(globex):
                raise ZeroDivisionError
            make_event(at)
            assert OutboxEvent.objects.count() == 1
        assert current_tenant_id() is None
        assert OutboxEvent.objects.count() == 0

    def test_an_unknown_tenant_sees_nothing(self, foreign_event):
        with acting_in(uuid.uuid4()):
            assert OutboxEvent.objects.count() == 0
