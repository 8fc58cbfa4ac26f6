"""Leases and budgets of a tenant over all processes: atomic, and nothing stays behind when a process is killed."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.core.admission import shared
from apps.core.admission.shared import Budget, Outcome, SharedLimits
from tests.supervisor.waiting import eventually

BUDGET = Budget(per_second=1, burst=100)
ADMITTED, PARALLEL, COST = Outcome
#: Takes both leases of a tenant in a process of its own, and waits to be killed.
TAKE = """
import sys, time, redis
from uuid import UUID
from apps.core.admission import shared
shared.LEASE_SECONDS, shared.RENEW_SECONDS = 2, 0.5
limits = shared.SharedLimits(redis.Redis.from_url(sys.argv[1]))
budget = shared.Budget(1, 100)
print(*[limits.acquire(UUID(sys.argv[2]), str(n), limit=2, budget=budget)[0].name for n in range(2)], flush=True)
time.sleep(600)
"""


@pytest.fixture
def tenant() -> UUID:
    return uuid4()


def process() -> SharedLimits:
    """What another web process has."""
    return SharedLimits(redis.Redis.from_url(settings.ISPVM_REDIS_URL))


@pytest.fixture
def away() -> SharedLimits:
    return SharedLimits(redis.Redis(port=1, retry=Retry(NoBackoff(), 0)))


def acquire(limits: SharedLimits, tenant: UUID, lease: str = "", **more) -> Outcome:
    return limits.acquire(tenant, lease or uuid4().hex, budget=BUDGET, **({"limit": 2} | more))[0]


class TestLeases:
    def test_all_processes_share_a_tenants_limit(self, tenant):
        one, other = process(), process()

        assert [acquire(p, tenant) for p in (one, other, one, other)] == [
            *(ADMITTED, ADMITTED, PARALLEL, PARALLEL)
        ]
        assert acquire(one, uuid4()) is ADMITTED

    def test_a_lease_given_back_is_free_for_the_next(self, tenant):
        one, other = process(), process()
        acquire(one, tenant, "first", limit=1)
        one.release(tenant, "first", cost=0, budget=BUDGET)

        assert acquire(other, tenant, limit=1) is ADMITTED

    def test_an_expensive_one_is_given_back_with_it(self, tenant):
        one = process()
        acquire(one, tenant, "first", limit=1, is_expensive=True)
        assert acquire(one, tenant, limit=1, is_expensive=True) is PARALLEL

        one.release(tenant, "first", cost=0, budget=BUDGET)

        assert acquire(one, tenant, limit=1, is_expensive=True) is ADMITTED

    def test_of_two_hundred_at_once_exactly_the_limit_passes(self, tenant):
        limits = process()
        with ThreadPoolExecutor(16) as threads:
            outcomes = list(threads.map(lambda _: acquire(limits, tenant, limit=10), range(200)))

        assert outcomes.count(ADMITTED) == 10
        assert outcomes.count(PARALLEL) == 190

    def test_leases_are_renewed_until_their_process_is_killed(self, tenant):
        taker = subprocess.Popen(
            [sys.executable, "-c", TAKE, settings.ISPVM_REDIS_URL, str(tenant)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert taker.stdout.readline().split() == ["ADMITTED", "ADMITTED"]
            first = expiries(tenant)
            # Renewed at least twice: later than they would have ended.
            eventually(lambda: min(expiries(tenant).values()) > max(first.values()) + 2)
            assert acquire(process(), tenant) is PARALLEL
        finally:
            os.kill(taker.pid, signal.SIGKILL)
            taker.wait()
            taker.stdout.close()

        eventually(lambda: acquire(process(), tenant) is ADMITTED)

    def test_renewal_brings_back_nothing_that_was_given_back(self, tenant):
        limits = process()
        acquire(limits, tenant, "kept")
        acquire(limits, tenant, "gone")
        process().release(tenant, "gone", cost=0, budget=BUDGET)  # in the middle of the renewal

        limits.renew()

        assert set(expiries(tenant)) == {b"kept"}


def expiries(tenant: UUID) -> dict[bytes, float]:
    found = redis.Redis.from_url(settings.ISPVM_REDIS_URL).zrange(
        f"ispvm:requests:all:{tenant}", 0, -1, withscores=True
    )
    return dict(found)


@pytest.fixture(params=["redis", "per process"])
def limits(request, away) -> SharedLimits:
    return process() if request.param == "redis" else away


class TestBudget:
    """A burst of 100: expensive requests wait from zero, all others from a debt of 50; a debt ends at 100."""

    @pytest.mark.parametrize(
        ("cost", "expensive", "ordinary"),
        [(90, ADMITTED, ADMITTED), (110, COST, ADMITTED), (160, COST, COST), (9_999, COST, COST)],
    )
    def test_what_was_used_decides(self, limits, tenant, cost, expensive, ordinary):
        limits.release(tenant, "none", cost=cost, budget=BUDGET)

        assert acquire(limits, tenant, is_expensive=True) is expensive
        assert acquire(limits, tenant) is ordinary

    def test_the_wait_is_until_it_is_refilled(self, limits, tenant):
        limits.release(tenant, "none", cost=9_999, budget=BUDGET)

        _, wait = limits.acquire(tenant, "x", limit=2, budget=BUDGET)
        _, longer = limits.acquire(tenant, "x", limit=2, budget=BUDGET, is_expensive=True)

        assert 40 < wait <= 50
        assert 90 < longer <= 100

    def test_other_tenants_are_not_touched(self, limits, tenant):
        limits.release(tenant, "none", cost=9_999, budget=BUDGET)

        assert acquire(limits, uuid4(), is_expensive=True) is ADMITTED


def test_an_unavailable_redis_is_not_queried_for_each_request(away, tenant, monkeypatch):
    attempts = []
    monkeypatch.setattr(away, "_scripts", [lambda **_: attempts.append(1) or fail()] * 3)

    assert [acquire(away, tenant) for _ in range(5)] == [ADMITTED] * 5
    assert len(attempts) == 1


def fail() -> None:
    raise redis.ConnectionError


def test_budgets_of_many_tenants_do_not_fill_the_memory(away, monkeypatch):
    monkeypatch.setattr(shared, "_LOCAL_BUDGETS", 100)
    for _ in range(1000):
        acquire(away, uuid4())

    assert len(away._local) == 100


def test_no_thread_renews_while_nothing_is_held(tenant, monkeypatch):
    monkeypatch.setattr(shared, "RENEW_SECONDS", 0.05)
    limits = process()

    def renewing() -> bool:
        return limits._renewing

    for lease in ("first", "second"):  # and a new one once something is held again
        acquire(limits, tenant, lease)
        assert renewing()
        limits.release(tenant, lease, cost=0, budget=BUDGET)
        eventually(lambda: not renewing())
