"""The state of the installation as numbers: sums over tenants, ages, and nothing that names a tenant."""

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


class TestReadState:
    def test_sums_what_every_tenant_owes_and_takes_the_oldest(self, acme, globex, undelivered):
        at = clock.now()
        for tenant, age in ((acme, 60), (globex, 5)):
            with acting_in(tenant):
                event = emit(topic="thing.happened", key="a", payload={})
                OutboxEvent.objects.filter(pk=event.id).update(
                    created_at=at - timedelta(seconds=age)
                )

        text = read_gauges(at)

        assert text["ispvm_outbox_undelivered",] == 2
        assert text["ispvm_outbox_undelivered_age_seconds",] == 60

    def test_counts_agents_that_speak_and_that_are_silent(self, acme, globex):
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

        text = read_gauges(at)

        assert (text["ispvm_agents_alive",], text["ispvm_agents_silent",]) == (2, 1)
        assert text["ispvm_agents_buffer_depth",] == 12
        assert text["ispvm_agents_buffer_age_seconds",] == 90

    def test_knows_when_the_authority_ends(self, db):
        assert read_gauges(clock.now())["ispvm_authority_end_timestamp_seconds",] == 0
        ensure_authority(at=clock.now())

        ends = read_gauges(clock.now())["ispvm_authority_end_timestamp_seconds",]

        years = (ends - clock.now().timestamp()) / (365 * 86400)
        assert 9.9 < years < 10.1

    def test_knows_queues_and_connections(self, db):
        broker = redis.Redis.from_url(settings.ISPVM_REDIS_URL)
        before = read_gauges(clock.now())["ispvm_queue_depth", "reports"]
        broker.rpush("reports", "waiting")
        try:
            text = read_gauges(clock.now())
        finally:
            broker.rpop("reports")
            broker.close()

        assert text["ispvm_queue_depth", "reports"] == before + 1
        assert text["ispvm_broker_up",] == 1
        assert 1 <= text["ispvm_database_connections",] < text["ispvm_database_connections_max",]

    def test_an_empty_installation_has_zeros_and_not_gaps(self, db):
        text = read_gauges(clock.now())

        assert text["ispvm_webhook_pending",] == 0
        assert text["ispvm_agents_silent",] == 0


class TestStateCollector:
    @pytest.fixture(autouse=True)
    def _keep_the_connection(self, monkeypatch):
        monkeypatch.setattr(gauges.connection, "close", lambda: None)

    def test_names_no_tenant(self, acme, undelivered):
        with acting_in(acme):
            emit(topic="thing.happened", key="a", payload={})

        text = exposition([GaugeCollector()]).decode()

        assert "ispvm_outbox_undelivered 1.0" in text
        assert "ispvm_state_readable 1.0" in text
        assert "acme" not in text.lower()
        assert str(acme.id) not in text

    def test_says_so_when_the_database_is_away_and_tells_no_old_numbers(self, monkeypatch):
        def away(at):
            raise DatabaseError("away")

        monkeypatch.setattr(gauges, "read_gauges", away)

        text = exposition([GaugeCollector()]).decode()

        assert "ispvm_state_readable 0.0" in text
        assert "\nispvm_outbox_undelivered " not in text

    def test_scrapes_in_a_row_ask_once(self, monkeypatch):
        reads = []
        monkeypatch.setattr(gauges, "read_gauges", lambda at: reads.append(at) or {})
        collector = GaugeCollector()

        for _ in range(5):
            list(collector.collect())

        assert len(reads) == 1
