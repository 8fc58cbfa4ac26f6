"""The newest values, over REST."""

from datetime import timedelta
from uuid import uuid4

import pytest

from apps.core import clock
from apps.telemetry import store
from apps.telemetry.store import EventRow, Sample, SeriesKey, TextSample
from apps.tenancy import acting_in
from tests.clients import bearer, listed, problem, queries

pytestmark = pytest.mark.django_db
LATEST = "/api/v1/metrics/latest/"


def read(tenant, entity_id, value, seconds: int = 0) -> None:
    at = clock.now() - timedelta(seconds=60 - seconds)
    with acting_in(tenant):
        key = SeriesKey("device", entity_id, "device.up")
        store.write_batch(samples=[Sample(key, at, value)], received_at=at)


@pytest.fixture
def reader(acme, acme_readonly):
    return bearer(acme, acme_readonly)


def test_the_newest_value_of_each_entity(acme, reader):
    first, second = uuid4(), uuid4()
    read(acme, first, 1.0)
    read(acme, first, 0.0, seconds=5)
    read(acme, second, 1.0)

    result = {
        row["entity_id"]: row["value"] for row in listed(reader, f"{LATEST}?metric=device.up")
    }

    assert result == {str(first): 0.0, str(second): 1.0}
    (one,) = listed(reader, f"{LATEST}?metric=device.up&entity_id={first}")
    assert one["text"] is None


def test_text_values_are_text(acme, reader):
    peer, at = uuid4(), clock.now()
    with acting_in(acme):
        key = SeriesKey("bgp_peer", peer, "bgp.peer.state")
        store.write_batch(texts=[TextSample(key, at, "established")], received_at=at)

    (row,) = listed(reader, f"{LATEST}?metric=bgp.peer.state&entity_type=bgp_peer")

    assert (row["text"], row["value"]) == ("established", None)


@pytest.mark.parametrize("query", ["", "metric=nonsense", "metric=device.up&entity_id=7"])
def test_an_invalid_query_is_rejected(reader, query):
    assert problem(reader.get(f"{LATEST}?{query}")) == (400, "invalid")


def test_another_tenants_values_are_not_visible(acme, globex, globex_noc):
    read(acme, uuid4(), 1.0)

    assert listed(bearer(globex, globex_noc), f"{LATEST}?metric=device.up") == []


def test_costs_the_same_for_one_and_for_twenty(acme, reader):
    read(acme, uuid4(), 1.0)
    few = queries(lambda: reader.get(f"{LATEST}?metric=device.up"))
    for _ in range(20):
        read(acme, uuid4(), 1.0)

    assert queries(lambda: reader.get(f"{LATEST}?metric=device.up")) == few


QUERY, EVENTS = "/api/v1/metrics/query/", "/api/v1/events/"


def params(entity_id) -> dict:
    now = clock.now()
    time_range = {"start": (now - timedelta(hours=1)).isoformat(), "end": now.isoformat()}
    return {"metric": "device.up", "entity_id": str(entity_id), **time_range}


def test_a_series_is_returned_as_stored(acme, reader):
    device = uuid4()
    for seconds, value in ((10, 0.0), (0, 1.0), (5, 1.0)):
        read(acme, device, value, seconds)

    points = reader.get(QUERY, params(device)).json()["points"]

    assert [row["value"] for row in points] == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"metric": "nonsense"},
        {"entity_id": "7"},
        {"start": "yesterday"},
        {"start": "2026-01-01T00:00:00Z"},
        {"end": "2020-01-01T00:00:00Z"},
    ],
)
def test_an_invalid_query_of_a_series_is_rejected(reader, wrong):
    assert problem(reader.get(QUERY, params(uuid4()) | wrong)) == (400, "invalid")


def test_another_tenant_s_series_is_empty(acme, globex, globex_noc):
    device = uuid4()
    read(acme, device, 1.0)

    assert bearer(globex, globex_noc).get(QUERY, params(device)).json()["points"] == []


class TestEvents:
    def report(self, tenant, device, category: str, seconds: int) -> None:
        at = clock.now() - timedelta(seconds=seconds)
        row = EventRow(
            uuid4(),
            at,
            "config.changed.detected",
            "info",
            "device",
            device,
            {"category": category},
        )
        with acting_in(tenant):
            store.write_batch(events=[row], received_at=at)

    def test_of_one_entity_the_newest_first(self, acme, reader):
        device = uuid4()
        self.report(acme, device, "firewall", 60)
        self.report(acme, device, "system", 5)
        self.report(acme, uuid4(), "routing", 5)

        events = listed(reader, f"{EVENTS}?entity_id={device}")

        assert [row["payload"]["category"] for row in events] == ["system", "firewall"]
        assert listed(reader, f"{EVENTS}?entity_id={device}&event_type=device.rebooted") == []

    def test_of_another_tenant_are_not_visible(self, acme, globex, globex_noc):
        device = uuid4()
        self.report(acme, device, "firewall", 5)

        assert listed(bearer(globex, globex_noc), f"{EVENTS}?entity_id={device}") == []

    @pytest.mark.parametrize("query", ["", "entity_id=7", "entity_id={device}&event_type=x"])
    def test_an_invalid_query_is_rejected(self, reader, query):
        assert problem(reader.get(f"{EVENTS}?{query.format(device=uuid4())}")) == (400, "invalid")
