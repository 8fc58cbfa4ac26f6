from datetime import timedelta

import pytest
from django.db import transaction

from apps.core import clock
from apps.events import due, subscriptions
from apps.events.dispatch import dispatch_tenant
from apps.events.models import Due, OutboxDelivery, OutboxEvent
from apps.events.outbox import DISPATCH, emit
from apps.tenancy import acting_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def handled(monkeypatch):
    """A subscriber of topic `thing.happened` that records its events; it raises for payloads with ``fails``."""
    monkeypatch.setattr(subscriptions, "_handlers", {})
    monkeypatch.setattr(subscriptions, "_topics", {})
    handled_by: list[tuple[str, int]] = []

    def handler(event: subscriptions.Event) -> None:
        handled_by.append((event.key, event.payload["n"]))
        if event.payload.get("fails"):
            raise ValueError("no")

    subscriptions.subscribe("thing.happened", name="test.listen", handler=handler)
    return handled_by


def emit_n(tenant, key: str, n: int, **payload) -> None:
    with acting_in(tenant):
        emit(topic="thing.happened", key=key, payload={"n": n, **payload})


class TestDispatch:
    def test_handles_each_event_once_in_order(self, acme, handled):
        for n in range(3):
            emit_n(acme, "a", n)

        assert dispatch_tenant(acme.id) == 3
        assert dispatch_tenant(acme.id) == 0
        assert handled == [("a", 0), ("a", 1), ("a", 2)]

    def test_a_failing_event_blocks_only_its_own_key_and_is_retried(self, acme, handled):
        emit_n(acme, "a", 0, fails=True)
        emit_n(acme, "a", 1)
        emit_n(acme, "b", 2)

        dispatch_tenant(acme.id)

        assert handled == [("a", 0), ("b", 2)]
        with acting_in(acme):
            failed = OutboxDelivery.objects.get(key="a", attempts=1)
            assert "no" in failed.last_error
            assert failed.next_attempt_at > clock.now()
        assert Due.objects.filter(kind=DISPATCH, tenant_id=acme.id).exists()

    def test_an_event_of_a_rolled_back_transaction_is_discarded(self, acme, handled):
        with pytest.raises(ZeroDivisionError), acting_in(acme):
            emit(topic="thing.happened", key="a", payload={"n": 1})
            raise ZeroDivisionError

        assert dispatch_tenant(acme.id) == 0
        assert handled == []

    def test_the_due_row_is_deleted_when_no_event_is_left(self, acme, handled):
        emit_n(acme, "a", 0)
        assert Due.objects.filter(kind=DISPATCH, tenant_id=acme.id).exists()

        dispatch_tenant(acme.id)

        assert not Due.objects.filter(kind=DISPATCH, tenant_id=acme.id).exists()

    def test_an_event_without_subscribers_is_stored_without_deliveries(self, acme, handled):
        with acting_in(acme):
            emit(topic="without.subscribers", key="a", payload={})
            assert OutboxEvent.objects.count() == 1
            assert OutboxDelivery.objects.count() == 0


class TestDue:
    @pytest.fixture
    def sent_tasks(self, monkeypatch):
        sent: list[tuple[str, dict]] = []
        monkeypatch.setattr(due.jobs, "send", lambda name, **kw: sent.append((name, kw)) or True)
        monkeypatch.setattr(due, "_kinds", {})
        due.register("once", "test.once")
        due.register("often", "test.often", every=timedelta(seconds=3))
        return sent

    def test_an_earlier_time_wins_and_a_later_one_does_not(self, acme):
        at = clock.now()
        due.schedule("once", at=at, tenant_id=acme.id)
        due.schedule("once", at=at + timedelta(minutes=5), tenant_id=acme.id)
        assert Due.objects.get().next_due_at == at

        due.schedule("once", at=at - timedelta(minutes=5), tenant_id=acme.id)
        assert Due.objects.get().next_due_at == at - timedelta(minutes=5)

    def test_a_one_shot_is_sent_again_until_it_is_finished(self, acme, sent_tasks):
        at = clock.now()
        due.schedule("once", at=at, tenant_id=acme.id, ref="x")

        assert due.run_due(at=at) == 1
        assert due.run_due(at=at) == 0
        assert due.run_due(at=at + due.ONE_SHOT_LEASE) == 1
        assert sent_tasks == [("test.once", {"tenant_id": str(acme.id), "ref": "x"})] * 2

        due.finish("once", tenant_id=acme.id, ref="x")
        assert due.run_due(at=at + timedelta(hours=1)) == 0

    def test_a_periodic_kind_keeps_its_period_and_skips_missed_runs(self, acme, sent_tasks):
        at = clock.now()
        due.schedule("often", at=at, tenant_id=acme.id)

        due.run_due(at=at + timedelta(seconds=1))
        assert Due.objects.get().next_due_at == at + timedelta(seconds=3)

        due.run_due(at=at + timedelta(hours=1))
        assert Due.objects.get().next_due_at > at + timedelta(hours=1)
        assert len(sent_tasks) == 2

    def test_a_row_of_an_unknown_kind_is_ignored(self, acme, sent_tasks):
        due.schedule("unknown", at=clock.now(), tenant_id=acme.id)

        assert due.run_due(at=clock.now()) == 0
        assert Due.objects.filter(kind="unknown").exists()


@pytest.mark.django_db(transaction=True)
class TestTwoDispatchers:
    def test_the_second_one_returns_at_once(self, acme, handled):
        """The first one holds the tenant's advisory lock."""
        emit_n(acme, "a", 0)
        import psycopg2
        from django.db import connection

        parameters = connection.get_connection_params()
        other = psycopg2.connect(
            **{k: v for k, v in parameters.items() if k not in {"cursor_factory", "context"}}
        )
        try:
            with other.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))",
                    [f"dispatch:{acme.id}"],
                )
            assert dispatch_tenant(acme.id) == 0
            other.rollback()
            assert dispatch_tenant(acme.id) == 1
        finally:
            other.close()
        assert handled == [("a", 0)]
        assert not transaction.get_connection().in_atomic_block
