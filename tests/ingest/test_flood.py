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
#: Seconds between two batches of one flooding thread: all of them together send at above ten times the rate.
PACE = FLOODERS / (20 * FLOOD_RATE)
LONG = os.environ.get("ISPVM_LONG") == "1"
#: How many are sent for one that is taken, at least; a busy machine may not get to ten.
LEAST = 10 if LONG else 2
QUIET_BATCHES, MOST_BATCHES = (100, 1000) if LONG else (20, 400)
#: Tokens a second: none comes back while a busy machine is still asking.
SLOW = 1 / 3600


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.fixture
def unreachable_redis() -> Buckets:
    return Buckets(redis.Redis(port=1, socket_connect_timeout=0.1))


class TestInProcess:
    """While Redis is away."""

    def test_still_limits(self, unreachable_redis):
        demand = [Demand("a", Rate(SLOW, 3))]

        waits = [unreachable_redis.take(demand) for _ in range(5)]

        assert waits[:3] == [0, 0, 0]
        assert all(0 < wait <= 1 / SLOW for wait in waits[3:])

    def test_takes_from_all_buckets_or_from_none(self, unreachable_redis):
        full, empty = Demand("full", Rate(SLOW, 3)), Demand("empty", Rate(SLOW, 1))
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
        monkeypatch.setattr(limits, "AGENT_REQUESTS", Rate(SLOW, 1))
        assert agent.post("batch", agent.batch(sequence=1)).status_code == 200
        before = stored()

        refused = agent.post("batch", agent.batch(sequence=2))

        assert refused.status_code == 429
        assert refused.json()["code"] == "rate_exceeded"
        assert 1 <= int(refused["Retry-After"]) <= 1 / SLOW + 1
        assert stored() == before

    def test_a_tenants_agents_share_its_rate(self, acme, agent, globex, monkeypatch):
        monkeypatch.setattr(limits, "TENANT_REQUESTS", Rate(SLOW, 2))
        sibling, stranger = enroll(acme, "pop-2"), enroll(globex)

        codes = [who.post("batch", who.batch(sequence=1)).status_code for who in (agent, sibling)]
        codes += [agent.post("batch", agent.batch(sequence=2)).status_code]

        assert codes == [200, 200, 429]
        assert stranger.post("batch", stranger.batch(sequence=1)).status_code == 200

    def test_concurrent_batches_of_one_agent_are_limited(self, agent):
        with limits.in_flight(agent.agent_id), limits.in_flight(agent.agent_id):
            with pytest.raises(RateExceeded), limits.in_flight(agent.agent_id):
                pass
        assert agent.agent_id not in limits._in_flight


class Flood:
    """Threads that send at their pace, or as fast as they are answered where that is slower."""

    def __init__(self, agent: AgentClient) -> None:
        self.codes: list[int] = []
        self.faults: list[Exception] = []
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
                self._stop.wait(PACE)
        except Exception as error:  # whatever it is, the test shows it
            self.faults.append(error)
        finally:
            connections.close_all()


@pytest.mark.real
@pytest.mark.django_db(transaction=True)
def test_a_flooding_agent_does_not_slow_down_another(acme, monkeypatch, record_property):
    """Ten times its rate is sent, what is above the rate is refused.

    Figures are always recorded; limits are asserted by `--long` only, because a busy machine is slow.
    """
    monkeypatch.setattr(limits, "AGENT_REQUESTS", Rate(FLOOD_RATE, FLOOD_BURST))
    flooder, quiet = enroll(acme), enroll(acme, "pop-2")
    before, began = resident_mib(), time.monotonic()
    waits, codes = [], []
    with Flood(flooder) as flood:
        while len(codes) < QUIET_BATCHES or len(flood.codes) < LEAST * flood.codes.count(200):
            metrics = [quiet.metric(number) for number in range(20)]
            sent = time.monotonic()
            codes.append(
                quiet.post("batch", quiet.batch(len(codes) + 1, metrics=metrics)).status_code
            )
            waits.append(time.monotonic() - sent)
            assert len(codes) < MOST_BATCHES, f"{len(flood.codes)} are no flood"
            assert not flood.faults
            time.sleep(0.25)
    seconds = time.monotonic() - began
    grown = resident_mib() - before
    with redis.Redis.from_url(settings.ISPVM_REDIS_URL) as broker:
        lives = [broker.ttl(key) for key in broker.scan_iter("ispvm:rate:*")]

    taken, refused = flood.codes.count(200), flood.codes.count(429)
    p95 = quantiles(waits, n=20)[-1]
    figures = (
        f"flood at {(taken + refused) / max(1, taken):.0f}x beside a quiet agent: quiet {len(codes)} batches,"
        f" 0 refused, p95 {p95 * 1000:.0f} ms; flood {taken} taken, {refused} refused in"
        f" {seconds:.0f} s; memory +{grown:.1f} MiB"
    )
    record_property("bar", figures)
    assert not flood.faults
    assert set(codes) == {200}
    assert set(flood.codes) == {200, 429}
    assert taken <= FLOOD_BURST + FLOOD_RATE * (seconds + 1)
    assert taken + refused >= LEAST * taken
    assert grown < 64, figures
    assert -1 not in lives  # no bucket stays for ever
    if LONG:
        assert p95 < 0.5, figures
