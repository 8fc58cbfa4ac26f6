"""The newest values, over REST."""

from datetime import timedelta
from uuid import uuid4

import pytest

from apps.core import clock
from apps.telemetry import store
from apps.telemetry.store import Sample, SeriesKey, TextSample
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

    found = {row["entity_id"]: row["value"] for row in listed(reader, f"{LATEST}?metric=device.up")}

    assert found == {str(first): 0.0, str(second): 1.0}
    (one,) = listed(reader, f"{LATEST}?metric=device.up&entity_id={first}")
    assert one["text"] is None


def test_words_are_words(acme, reader):
    peer, at = uuid4(), clock.now()
    with acting_in(acme):
        key = SeriesKey("bgp_peer", peer, "bgp.peer.state")
        store.write_batch(texts=[TextSample(key, at, "established")], received_at=at)

    (row,) = listed(reader, f"{LATEST}?metric=bgp.peer.state&entity_type=bgp_peer")

    assert (row["text"], row["value"]) == ("established", None)


@pytest.mark.parametrize("query", ["", "metric=nonsense", "metric=device.up&entity_id=7"])
def test_a_wrong_question_is_a_clear_fault(reader, query):
    assert problem(reader.get(f"{LATEST}?{query}")) == (400, "invalid")


def test_another_tenant_s_values_are_not_there(acme, globex, globex_noc):
    read(acme, uuid4(), 1.0)

    assert listed(bearer(globex, globex_noc), f"{LATEST}?metric=device.up") == []


def test_costs_the_same_for_one_and_for_twenty(acme, reader):
    read(acme, uuid4(), 1.0)
    few = queries(lambda: reader.get(f"{LATEST}?metric=device.up"))
    for _ in range(20):
        read(acme, uuid4(), 1.0)

    assert queries(lambda: reader.get(f"{LATEST}?metric=device.up")) == few
