"""Back-pressure: a flooding agent gets 429, another agent is not affected, memory stays bounded."""

import itertools
import os
import threading
import time
from pathlib import Path
from statistics import quantiles
from typing import Self

import pytest
import redis
from django.conf import settings
from django.db import connections

from apps.core import buckets
from apps.core.buckets import Buckets, Demand, Rate, RateExceeded
from apps.ingest import limits
from tests.ingest.client import AgentClient, enroll

FLOODERS = 4
FLOOD_RATE, FLOOD_BURST = 5, 10
#: Pause between two batches of one flooding thread: together they send at more than ten times the rate.
PAUSE_SECONDS = FLOODERS / (20 * FLOOD_RATE)
LONG = os.environ.get("ISPVM_LONG") == "1"
#: Batches sent per accepted batch, at least; a busy machine may not reach ten.
MIN_SENT_PER_ACCEPTED = 10 if LONG else 2
MIN_BATCHES, MAX_BATCHES = (100, 1000) if LONG else (20, 400)
#: Tokens per second: none is refilled during a test.
SLOW_RATE = 1 / 3600


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.fixture
def unreachable_redis() -> Buckets:
    return Buckets(redis.Redis(port=1, socket_connect_timeout=0.1))


class TestInProcess:
    """While Redis is unavailable."""

    def test_still_limits(self, unreachable_redis):
        demand = [Demand("a", Rate(SLOW_RATE, 3))]

        waits = [unreachable_redis.take(demand) for _ in range(5)]

        assert waits[:3] == [0, 0, 0]
        assert all(0 < wait <= 1 / SLOW_RATE for wait in waits[3:])

    def test_takes_from_all_buckets_or_from_none(self, unreachable_redis):
        full, empty = Demand("full", Rate(SLOW_RATE, 3)), Demand("empty", Rate(SLOW_RATE, 1))
        unreachable_redis.take([empty])
        for _ in range(5):
            assert unreachable_redis.take([full, empty]) > 0

        assert unreachable_redis.take([full]) == 0

    def test_the_number_of_own_buckets_is_limited(self, unreachable_redis, monkeypatch):
        monkeypatch.setattr(buckets, "_LOCAL_BUCKETS", 100)
        for number in range(1000):
            unreachable_redis.take([Demand(f"enroll:{number}", Rate(1, 1))])

        assert len(unreachable_redis._local) == 100


@pytest.mark.django_db
class TestRefusal:
    def test_has_retry_after_and_stores_nothing(self, agent, stored, monkeypatch):
        monkeypatch.setattr(limits, "AGENT_REQUESTS", Rate(SLOW_RATE, 1))
        assert agent.post("batch", agent.batch(sequence=1)).status_code == 200
        before = stored()

        refused = agent.post("batch", agent.batch(sequence=2))

        assert refused.status_code == 429
        assert refused.json()["code"] == "rate_exceeded"
        assert 1 <= int(refused["Retry-After"]) <= 1 / SLOW_RATE + 1
        assert stored() == before

    def test_a_tenants_agents_share_its_rate(self, acme, agent, globex, monkeypatch):
        monkeypatch.setattr(limits, "TENANT_REQUESTS", Rate(SLOW_RATE, 2))
        sibling, other_tenant = enroll(acme, "pop-2"), enroll(globex)

        codes = [
            client.post("batch", client.batch(sequence=1)).status_code
            for client in (agent, sibling)
        ]
        codes += [agent.post("batch", agent.batch(sequence=2)).status_code]

        assert codes == [200, 200, 429]
        assert other_tenant.post("batch", other_tenant.batch(sequence=1)).status_code == 200

    def test_concurrent_batches_of_one_agent_are_limited(self, agent):
        with limits.in_flight(agent.agent_id), limits.in_flight(agent.agent_id):
            with pytest.raises(RateExceeded), limits.in_flight(agent.agent_id):
                pass
        assert agent.agent_id not in limits._in_flight


class Flood:
    """Threads that send batches with a pause, or as fast as they are answered."""

    def __init__(self, agent: AgentClient) -> None:
        self.codes: list[int] = []
        self.errors: list[Exception] = []
        self._agent = agent
        self._numbers = itertools.count(1)
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(FLOODERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(300)

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                with self._guard:
                    sequence = next(self._numbers)
                metrics = [self._agent.metric(number) for number in range(50)]
                answer = self._agent.post("batch", self._agent.batch(sequence, metrics=metrics))
                assert answer.status_code != 429 or int(answer["Retry-After"]) >= 1
                self.codes.append(answer.status_code)
                self._stop.wait(PAUSE_SECONDS)
        except Exception as error:  # asserted in the test
            self.errors.append(error)
        finally:
            connections.close_all()


@pytest.mark.real
@pytest.mark.django_db(transaction=True)
def test_a_flooding_agent_does_not_slow_down_another(acme, monkeypatch, record_property):
    """It sends ten times its rate; what exceeds the rate is refused.

    Figures are always recorded; limits are asserted by `--long` only, because a busy machine is slow.
    """
    monkeypatch.setattr(limits, "AGENT_REQUESTS", Rate(FLOOD_RATE, FLOOD_BURST))
    flooder, quiet = enroll(acme), enroll(acme, "pop-2")
    before, started_at = resident_mib(), time.monotonic()
    waits, codes = [], []
    with Flood(flooder) as flood:
        while len(codes) < MIN_BATCHES or len(
            flood.codes
        ) < MIN_SENT_PER_ACCEPTED * flood.codes.count(200):
            metrics = [quiet.metric(number) for number in range(20)]
            sent_at = time.monotonic()
            codes.append(
                quiet.post("batch", quiet.batch(len(codes) + 1, metrics=metrics)).status_code
            )
            waits.append(time.monotonic() - sent_at)
            assert len(codes) < MAX_BATCHES, f"{len(flood.codes)} requests are no flood"
            assert not flood.errors
            time.sleep(0.25)
    seconds = time.monotonic() - started_at
    memory_growth = resident_mib() - before
    with redis.Redis.from_url(settings.ISPVM_REDIS_URL) as broker:
        ttls = [broker.ttl(key) for key in broker.scan_iter("ispvm:rate:*")]

    accepted, refused = flood.codes.count(200), flood.codes.count(429)
    p95 = quantiles(waits, n=20)[-1]
    figures = (
        f"flood at {(accepted + refused) / max(1, accepted):.0f}x beside a quiet agent: quiet {len(codes)} batches,"
        f" 0 refused, p95 {p95 * 1000:.0f} ms; flood {accepted} accepted, {refused} refused in"
        f" {seconds:.0f} s; memory +{memory_growth:.1f} MiB"
    )
    record_property("bar", figures)
    assert not flood.errors
    assert set(codes) == {200}
    assert set(flood.codes) == {200, 429}
    assert accepted <= FLOOD_BURST + FLOOD_RATE * (seconds + 1)
    assert accepted + refused >= MIN_SENT_PER_ACCEPTED * accepted
    assert memory_growth < 64, figures
    assert -1 not in ttls  # every bucket expires
    if LONG:
        assert p95 < 0.5, figures
