"""Concurrent requests and cost of each tenant over all web processes: leases and budgets in Redis, by Lua scripts.

A lease expires when its process stops renewing it, so a killed process leaves none behind. While Redis is
unavailable, budgets are counted per process, and concurrent requests are limited by ``ThreadShares`` alone.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from uuid import UUID

import redis
import structlog

log = structlog.get_logger(__name__)

LEASE_SECONDS = 15
RENEW_SECONDS = 5
#: Retry interval while Redis is unavailable: each attempt may wait for a timeout.
_RETRY_SECONDS = 5
_LOCAL_BUDGETS = 10_000

_ACQUIRE = """
local now = redis.call('TIME')
local t = tonumber(now[1]) + tonumber(now[2]) / 1e6
local rate, burst, floor = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local budget = redis.call('HMGET', KEYS[2], 'level', 'at')
local level = math.min(burst, (tonumber(budget[1]) or burst) + math.max(0, t - (tonumber(budget[2]) or t)) * rate)
if level <= floor then return {2, tostring((floor - level) / rate)} end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', t)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return {1, '0'} end
redis.call('ZADD', KEYS[1], t + tonumber(ARGV[2]), ARGV[1])
redis.call('EXPIRE', KEYS[1], math.ceil(tonumber(ARGV[2])) + 1)
return {0, '0'}
"""
_RELEASE = """
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
local now = redis.call('TIME')
local t = tonumber(now[1]) + tonumber(now[2]) / 1e6
local cost, rate, burst, debt = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local budget = redis.call('HMGET', KEYS[3], 'level', 'at')
local level = math.min(burst, (tonumber(budget[1]) or burst) + math.max(0, t - (tonumber(budget[2]) or t)) * rate)
redis.call('HSET', KEYS[3], 'level', tostring(math.max(-debt, level - cost)), 'at', string.format('%.6f', t))
redis.call('EXPIRE', KEYS[3], math.ceil((burst + debt) / rate) + 60)
"""
_RENEW = """
local now = redis.call('TIME')
local t = tonumber(now[1]) + tonumber(now[2]) / 1e6
redis.call('ZADD', KEYS[1], 'XX', t + tonumber(ARGV[1]), ARGV[2])
redis.call('EXPIRE', KEYS[1], math.ceil(tonumber(ARGV[1])) + 1)
"""


class Outcome(IntEnum):
    """Result of ``acquire``; the scripts return the numbers."""

    ADMITTED = 0
    PARALLEL = 1
    COST = 2


@dataclass(frozen=True)
class Budget:
    """Token bucket of cost (seconds of CPU and database): ``burst`` at most, refilled by ``per_second``."""

    per_second: float
    burst: float

    @property
    def reserve(self) -> float:
        """The debt at which ordinary requests are refused too; expensive ones are refused from zero."""
        return self.burst / 2


class SharedLimits:
    """Leases and budgets of tenants. One instance per process."""

    def __init__(self, client: "redis.Redis[Any]") -> None:
        self._scripts = [client.register_script(text) for text in (_ACQUIRE, _RELEASE, _RENEW)]
        self._leases: set[tuple[str, str]] = set()  # (key of the sorted set, lease id)
        self._local: OrderedDict[UUID, tuple[float, float]] = OrderedDict()  # level, at
        self._lock = threading.Lock()
        self._retry_at = 0.0
        self._renewing = False

    def acquire(
        self, tenant_id: UUID, lease: str, *, limit: int, budget: Budget, is_expensive: bool = False
    ) -> tuple[Outcome, float]:
        """Take a lease if the limit and the budget allow it; returns the outcome and seconds to wait."""
        key, floor = (
            _key(tenant_id, is_expensive=is_expensive),
            0.0 if is_expensive else -budget.reserve,
        )
        answer = self._run(
            lambda: self._scripts[0](
                keys=[key, _cost_key(tenant_id)],
                args=[lease, LEASE_SECONDS, limit, budget.per_second, budget.burst, floor],
            )
        )
        if answer is None:
            level = self._charge_local(tenant_id, 0, budget)
            if level <= floor:
                return Outcome.COST, (floor - level) / budget.per_second
            return Outcome.ADMITTED, 0.0
        outcome = Outcome(int(answer[0]))
        if outcome is Outcome.ADMITTED:
            self._add_lease(key, lease)
        return outcome, float(answer[1])

    def release(self, tenant_id: UUID, lease: str, *, cost: float, budget: Budget) -> None:
        """Release a lease, if it was acquired, and charge the cost of the request."""
        keys = [_key(tenant_id, is_expensive=expensive) for expensive in (False, True)]
        with self._lock:
            self._leases.difference_update((key, lease) for key in keys)
        answer = self._run(
            lambda: (
                self._scripts[1](
                    keys=[*keys, _cost_key(tenant_id)],
                    args=[lease, cost, budget.per_second, budget.burst, 2 * budget.reserve],
                )
                or True
            )
        )
        if answer is None:
            self._charge_local(tenant_id, cost, budget)

    def renew(self) -> None:
        """Extend the leases that this process holds."""
        with self._lock:
            leases = list(self._leases)
        for key, lease in leases:
            self._run(
                lambda key=key, lease=lease: (
                    self._scripts[2](  # type: ignore[misc]  # bound per turn
                        keys=[key], args=[LEASE_SECONDS, lease]
                    )
                    or True
                )
            )

    def _run(self, script: Callable[[], Any]) -> Any:
        """The result of the script; None while Redis is unavailable."""
        if time.monotonic() < self._retry_at:
            return None
        try:
            return script()
        except (redis.RedisError, OSError):
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            log.warning("tenant_limits_per_process")
            return None

    def _add_lease(self, key: str, lease: str) -> None:
        with self._lock:
            self._leases.add((key, lease))
            if self._renewing:
                return
            self._renewing = True
        threading.Thread(target=self._renew_while_held, name="lease-renewal", daemon=True).start()

    def _renew_while_held(self) -> None:
        """Body of the renewal thread: at most one per process, only while leases are held."""
        while True:
            time.sleep(RENEW_SECONDS)
            with self._lock:
                if not self._leases:
                    self._renewing = False
                    return
            self.renew()

    def _charge_local(self, tenant_id: UUID, cost: float, budget: Budget) -> float:
        now = time.monotonic()
        with self._lock:
            level, at = self._local.get(tenant_id, (budget.burst, now))
            level = min(budget.burst, level + (now - at) * budget.per_second) - cost
            level = max(-2 * budget.reserve, level)
            self._local[tenant_id] = (level, now)
            self._local.move_to_end(tenant_id)
            while len(self._local) > _LOCAL_BUDGETS:
                self._local.popitem(last=False)
        return level


def _key(tenant_id: UUID, *, is_expensive: bool) -> str:
    return f"ispvm:requests:{'expensive' if is_expensive else 'all'}:{tenant_id}"


def _cost_key(tenant_id: UUID) -> str:
    return f"ispvm:cost:{tenant_id}"
