"""Every growing table has a retention rule; the keeper deletes expired rows, one tenant at a time."""

from collections import Counter
from datetime import timedelta
from itertools import count
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection, connections
from structlog.testing import capture_logs

from apps.accounts.models import ApiToken, OpenSession
from apps.agents.models import Agent
from apps.core import clock
from apps.delivery.models import Attempt, Delivery
from apps.events import retention
from apps.events.models import OutboxDelivery, OutboxEvent
from apps.events.outbox import emit
from apps.ingest.models import BatchReceipt, Stream
from apps.telemetry.models import Event, Series, TextChange
from apps.tenancy import acting_in
from tests import database
from tests.accounts.rows import ROWS

TENANT_WORK = pytest.mark.django_db(databases=["default", "owner"], transaction=True)
CENTURY = timedelta(days=36_500)


def rows(sql: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def prune(*tenants, at, may_continue=lambda: True, batch=retention.BATCH) -> retention.PruneResult:
    return retention.prune(
        using="owner",
        tenant_ids=[t.id for t in tenants],
        at=at,
        may_continue=may_continue,
        batch=batch,
    )


def make_receipts(tenant, number: int, *, at) -> None:
    """By SQL, for large numbers of rows."""
    with acting_in(tenant):
        agent = Agent.objects.create(name=f"pop-{uuid4()}", created_at=at)
        stream = Stream.objects.create(agent=agent, boot_id=uuid4(), last_batch_at=at)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO ingest_batchreceipt (id, tenant_id, stream_id, batch_id, sequence, digest,"
                " received_at, metrics, events, rejected) SELECT gen_random_uuid(), %s, %s,"
                " gen_random_uuid(), n, '', %s, 1, 0, 0 FROM generate_series(1, %s) n",
                [tenant.id, stream.id, at, number],
            )


def receipts(tenant) -> int:
    with acting_in(tenant):
        return BatchReceipt.objects.count()


@pytest.mark.django_db
class TestCatalog:
    def test_each_table_is_bounded_or_has_a_rule(self):
        tables = {
            name
            for (name,) in rows(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " AND relkind IN ('r', 'p')"
            )
        }
        lists = [
            retention.BOUNDED_TABLES.keys(),
            retention.UNBOUNDED_TABLES.keys(),
            {rule.table for rule in retention.rules()},
            retention.cascades().keys(),
        ]
        named = Counter(name for tables in lists for name in tables)

        assert tables - named.keys() == set(), (
            "declare a retention rule or a reason in apps.events.retention"
        )
        assert named.keys() - tables == set()
        assert {name for name, number in named.items() if number > 1} == set()

    def test_declared_cascades_exist_in_the_database(self):
        foreign_keys = set(
            rows(
                "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint"
                " WHERE contype = 'f' AND confdeltype = 'c'"
            )
        )

        assert set(retention.cascades().items()) - foreign_keys == set()

    def test_no_foreign_key_blocks_a_rule(self):
        """A table that references another without cascade must have a rule of its own that is applied first."""
        order = {rule.table: number for number, rule in enumerate(retention.rules())}
        references = rows(
            "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint"
            " WHERE contype = 'f' AND confdeltype IN ('a', 'r')"
        )

        blocked = [
            (child, parent)
            for child, parent in references
            if parent in order and order.get(child, len(order)) >= order[parent]
        ]

        # Its rule excludes rows that are referenced.
        assert sorted(blocked) == [("incidents_revision", "incidents_storedsnapshot")]


@TENANT_WORK
class TestPrune:
    def test_only_expired_rows_are_deleted(self, acme, acme_admin):
        with acting_in(acme):
            for make in ROWS.values():
                make()
            Delivery.objects.update(
                state="delivered",
                delivered_at=clock.now(),
                next_attempt_at=None,
                lease_token=None,
                leased_until=None,
            )
            delivery = Delivery.objects.first()
            Attempt.objects.create(
                delivery=delivery, number=1, started_at=clock.now(), body_sha256="0" * 64
            )

        early = prune(acme, at=clock.now() - CENTURY)
        late = prune(acme, at=clock.now() + CENTURY)

        assert {table for table, number in early.rows.items() if number} == set()
        assert late.is_complete
        deleted = {table for table, number in late.rows.items() if number}
        assert deleted >= {
            "accounts_apitoken",
            "accounts_breakglass",
            "accounts_invitation",
            "accounts_opensession",
            "diagnostics_connectiontest",
            "django_session",
            "maintenance_maintenancewindow",
            "delivery_delivery",
        }
        with acting_in(acme):
            assert not Attempt.objects.exists()

    def test_deletes_many_batches_in_one_run(self, acme, globex):
        """Of both tenants; a row of today stays."""
        at = clock.now()
        for tenant in (acme, globex):
            make_receipts(tenant, 1050, at=at - timedelta(days=31))
            make_receipts(tenant, 1, at=at)

        result = prune(acme, globex, at=at, batch=100)

        assert result.rows["ingest_batchreceipt"] == 2100
        assert (receipts(acme), receipts(globex), result.is_complete) == (1, 1, True)

    def test_an_interrupted_run_is_reported_as_incomplete(self, acme):
        at = clock.now()
        make_receipts(acme, 500, at=at - timedelta(days=31))
        calls = count()

        result = prune(
            acme, at=at, batch=100, may_continue=lambda: next(calls) < len(retention.rules()) + 1
        )

        assert (result.is_out_of_time, result.is_complete) == (True, False)
        assert 0 < receipts(acme) < 500
        assert prune(acme, at=at, batch=100).is_complete
        assert receipts(acme) == 0

    def test_batches_alternate_between_tenants(self, acme, globex):
        """Many rows of one tenant do not delay the deletion of another's."""
        at = clock.now()
        make_receipts(acme, 1000, at=at - timedelta(days=31))
        make_receipts(globex, 90, at=at - timedelta(days=31))
        calls = count()
        once = sum(1 if rule.is_global else 2 for rule in retention.rules())

        prune(acme, globex, at=at, batch=100, may_continue=lambda: next(calls) < once + 1)

        assert receipts(globex) == 0
        assert receipts(acme) > 0

    def test_a_locked_row_is_left_to_the_next_run(self, acme):
        at = clock.now()
        make_receipts(acme, 3, at=at - timedelta(days=31))

        with database.as_owner(settings.DATABASES["default"]["NAME"]) as other:
            other.execute("BEGIN")
            other.execute("SELECT set_config('ispvm.tenant_id', %s, true)", [str(acme.id)])
            other.execute("SELECT id FROM ingest_batchreceipt LIMIT 1 FOR UPDATE")
            locked = other.fetchone()[0]
            assert prune(acme, at=at).rows["ingest_batchreceipt"] == 2
            with acting_in(acme):
                assert BatchReceipt.objects.get().pk == locked
            other.execute("COMMIT")

        prune(acme, at=at)
        assert receipts(acme) == 0

    def test_an_undelivered_event_stays(self, acme):
        at = clock.now()
        with acting_in(acme):
            for number in range(2):
                emit(topic="alert.transition", key="k", payload={"n": number})
            OutboxEvent.objects.update(created_at=at - timedelta(days=8))
            done, undelivered = OutboxDelivery.objects.order_by("position")
            OutboxDelivery.objects.filter(pk=done.pk).update(done_at=at - timedelta(days=8))

        prune(acme, at=at)

        with acting_in(acme):
            assert [row.pk for row in OutboxEvent.objects.all()] == [undelivered.event_id]
            assert [row.pk for row in OutboxDelivery.objects.all()] == [undelivered.pk]

    def test_the_watermark_of_an_agents_newest_boot_stays(self, acme):
        at = clock.now()
        with acting_in(acme):
            agent = Agent.objects.create(name="pop", created_at=at)
            ages = (300, 200)
            _earlier, newest = (
                Stream.objects.create(
                    agent=agent, boot_id=uuid4(), last_batch_at=at - timedelta(days=age)
                )
                for age in ages
            )

        prune(acme, at=at)

        with acting_in(acme):
            assert [row.pk for row in Stream.objects.all()] == [newest.pk]

    def test_the_text_at_the_start_of_the_retention_period_stays(self, acme):
        at = clock.now()
        with acting_in(acme):
            series = Series.objects.create(
                entity_type="device", entity_id=uuid4(), metric="ospf.state"
            )
            for age in (900, 800, 10):
                TextChange.objects.create(
                    series=series, ts=at - timedelta(days=age), text=f"{age} days old"
                )

        prune(acme, at=at)

        with acting_in(acme):
            texts = TextChange.objects.order_by("ts").values_list("text", flat=True)
            assert list(texts) == ["800 days old", "10 days old"]

    def test_an_expired_session_is_deleted_with_its_open_session_row(self, acme, acme_admin):
        with acting_in(acme):
            ROWS["sessions"]()
        Session.objects.update(expire_date=clock.now() - timedelta(seconds=1))

        prune(acme, at=clock.now())

        assert not Session.objects.exists()
        assert not OpenSession.objects.exists()

    def test_the_keeper_prunes(self, acme, capsys):
        at = clock.now()
        make_receipts(acme, 7, at=at - timedelta(days=31))
        with acting_in(acme):
            Event.objects.create(
                event_id=uuid4(),
                ts=at - timedelta(days=91),
                event_type="link_down",
                severity="warn",
                entity_type="device",
                entity_id=uuid4(),
                payload={},
                received_at=at,
            )

        call_command("keeper", "--once")

        assert "8 rows deleted" in capsys.readouterr().out
        assert receipts(acme) == 0

    def test_a_token_is_deleted_after_its_children(self, acme, acme_admin):
        with acting_in(acme):
            parent = ApiToken.objects.get(pk=ROWS["tokens"]())
        parent_id, child_id = parent.pk, uuid4()
        ApiToken.objects.filter(pk=parent_id).update(expires_at=clock.now() - timedelta(days=500))
        child = ApiToken.objects.get(pk=parent_id)
        child.pk, child.parent_id, child.digest = child_id, parent_id, b"other"
        child.save(force_insert=True)

        assert prune(acme, at=clock.now()).rows["accounts_apitoken"] == 1
        assert ApiToken.objects.get().pk == parent_id
        assert prune(acme, at=clock.now()).rows["accounts_apitoken"] == 1

    def test_a_referenced_row_blocks_no_other_rule(self, acme, acme_admin, monkeypatch):
        at = clock.now()
        make_receipts(acme, 3, at=at - timedelta(days=31))
        first = {"accounts_user": retention.Rule("accounts_user", timedelta(0), "true")}
        monkeypatch.setattr(retention, "_rules", {**first, **retention._rules})

        result = prune(acme, at=at)

        assert (result.rows["accounts_user"], result.rows["ingest_batchreceipt"]) == (0, 3)

    def test_a_cancelled_statement_blocks_no_other_rule(self, acme, monkeypatch):
        """Its table is processed last from then on, in smaller batches."""
        at = clock.now()
        make_receipts(acme, 3, at=at - timedelta(days=31))
        slow = retention.Rule("ingest_stream", timedelta(0), "pg_sleep(30) IS NOT NULL")
        rest = {k: v for k, v in retention._rules.items() if k == "ingest_batchreceipt"}
        monkeypatch.setattr(retention, "_rules", {slow.table: slow, **rest})
        monkeypatch.setattr(retention, "_smaller_batches", {})
        with connections["owner"].cursor() as cursor:
            cursor.execute("SET statement_timeout = '300ms'")
        with capture_logs() as logs:
            result = prune(acme, at=at)
        make_receipts(acme, 2, at=at - timedelta(days=31))
        calls = count()
        short = prune(acme, at=at, may_continue=lambda: next(calls) < 1)
        with connections["owner"].cursor() as cursor:
            cursor.execute("RESET statement_timeout")

        assert (result.rows["ingest_batchreceipt"], result.is_blocked) == (3, True)
        assert short.rows["ingest_batchreceipt"] == 2
        assert retention._smaller_batches == {
            slow.table: retention.BATCH // retention.BATCH_DIVISOR
        }
        assert [(row["event"], row["table"]) for row in logs] == [
            ("retention_statement_cancelled", slow.table)
        ]

    def test_smaller_batches_delete_all_expired_rows(self, acme, monkeypatch):
        at = clock.now()
        make_receipts(acme, 30, at=at - timedelta(days=31))
        monkeypatch.setattr(retention, "_smaller_batches", {"ingest_batchreceipt": 7})

        assert prune(acme, at=at).rows["ingest_batchreceipt"] == 30

    def test_a_lock_timeout_blocks_no_other_rule(self, acme):
        at = clock.now()
        make_receipts(acme, 3, at=at - timedelta(days=31))
        with connections["owner"].cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        with acting_in(acme):
            emit(topic="alert.transition", key="k", payload={})
            OutboxDelivery.objects.update(done_at=at)
            OutboxEvent.objects.update(created_at=at - timedelta(days=8))
        with acting_in(acme):
            # The delivery is locked, so that deleting its event waits for it.
            OutboxDelivery.objects.select_for_update().get()
            result = prune(acme, at=at)
        with connections["owner"].cursor() as cursor:
            cursor.execute("RESET lock_timeout")

        assert (result.is_blocked, result.is_out_of_time, result.is_complete) == (
            True,
            False,
            False,
        )
        assert result.rows["ingest_batchreceipt"] == 3
        assert prune(acme, at=at).rows["events_outboxevent"] == 1
