"""Gauges of the installation: sums and maxima over tenants, without a tenant label."""

from datetime import timedelta

import pytest
import redis
from django.conf import settings
from django.db import DatabaseError

from apps.agents.services import ensure_authority
from apps.core import clock
from apps.core.metrics import exposition
from apps.events import gauges, subscriptions
from apps.events.gauges import GaugeCollector, read_gauges
from apps.events.models import OutboxEvent
from apps.events.outbox import emit
from apps.tenancy import acting_in
from tests.agents.factories import make_agent

pytestmark = pytest.mark.django_db


@pytest.fixture
def undelivered(monkeypatch):
    monkeypatch.setattr(subscriptions, "_handlers", {})
    monkeypatch.setattr(subscriptions, "_topics", {})
    subscriptions.subscribe("thing.happened", name="test.listen", handler=lambda event: None)


class TestReadGauges:
    def test_sums_undelivered_events_of_all_tenants_and_takes_the_oldest(
        self, acme, globex, undelivered
    ):
        at = clock.now()
        for tenant, age in ((acme, 60), (globex, 5)):
            with acting_in(tenant):
                event = emit(topic="thing.happened", key="a", payload={})
                OutboxEvent.objects.filter(pk=event.id).update(
                    created_at=at - timedelta(seconds=age)
                )

        values = read_gauges(at)

        assert values["ispvm_outbox_undelivered",] == 2
        assert values["ispvm_outbox_undelivered_age_seconds",] == 60

    def test_counts_online_and_offline_agents(self, acme, globex):
        at = clock.now()
        for tenant, name, ago in (
            (acme, "one", 1),
            (acme, "two", 90),
            (globex, "three", 2),
        ):
            with acting_in(tenant):
                agent = make_agent(name=name)
                agent.status = "active"
                agent.last_heartbeat_at = at - timedelta(seconds=ago)
                agent.health = {"buffer_depth": 4.0, "buffer_age_seconds": float(ago)}
                agent.save()

        values = read_gauges(at)

        assert (values["ispvm_agents_alive",], values["ispvm_agents_offline",]) == (2, 1)
        assert values["ispvm_agents_buffer_depth",] == 12
        assert values["ispvm_agents_buffer_age_seconds",] == 90

    def test_reads_the_expiry_of_the_authority(self, db):
        assert read_gauges(clock.now())["ispvm_authority_end_timestamp_seconds",] == 0
        ensure_authority(at=clock.now())

        expires_at = read_gauges(clock.now())["ispvm_authority_end_timestamp_seconds",]

        years = (expires_at - clock.now().timestamp()) / (365 * 86400)
        assert 9.9 < years < 10.1

    def test_reads_queues_and_connections(self, db):
        broker = redis.Redis.from_url(settings.ISPVM_REDIS_URL)
        before = read_gauges(clock.now())["ispvm_queue_depth", "reports"]
        broker.rpush("reports", "waiting")
        try:
            values = read_gauges(clock.now())
        finally:
            broker.rpop("reports")
            broker.close()

        assert values["ispvm_queue_depth", "reports"] == before + 1
        assert values["ispvm_broker_up",] == 1
        assert (
            1 <= values["ispvm_database_connections",] < values["ispvm_database_connections_max",]
        )

    def test_an_empty_installation_has_zeros(self, db):
        values = read_gauges(clock.now())

        assert values["ispvm_webhook_pending",] == 0
        assert values["ispvm_agents_offline",] == 0


class TestGaugeCollector:
    @pytest.fixture(autouse=True)
    def _keep_the_connection(self, monkeypatch):
        monkeypatch.setattr(gauges.connection, "close", lambda: None)

    def test_has_no_tenant_label(self, acme, undelivered):
        with acting_in(acme):
            emit(topic="thing.happened", key="a", payload={})

        text = exposition([GaugeCollector()]).decode()

        assert "ispvm_outbox_undelivered 1.0" in text
        assert "ispvm_state_readable 1.0" in text
        assert "acme" not in text.lower()
        assert str(acme.id) not in text

    def test_publishes_no_old_values_while_the_database_is_unavailable(self, monkeypatch):
        def fail(at):
            raise DatabaseError("unavailable")

        monkeypatch.setattr(gauges, "read_gauges", fail)

        text = exposition([GaugeCollector()]).decode()

        assert "ispvm_state_readable 0.0" in text
        assert "\nispvm_outbox_undelivered " not in text

    def test_several_scrapes_read_once(self, monkeypatch):
        reads = []
        monkeypatch.setattr(gauges, "read_gauges", lambda at: reads.append(at) or {})
        collector = GaugeCollector()

        for _ in range(5):
            list(collector.collect())

        assert len(reads) == 1
