"""Rate limits: token buckets in Redis, updated atomically; per process while Redis is unavailable."""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.core.errors import DomainError

log = structlog.get_logger(__name__)


class RateExceeded(DomainError):
    """A rate limit is exceeded; ``retry_after`` in seconds."""

    status = 429
    default_code = "rate_exceeded"
    retry_after = 1


@dataclass(frozen=True)
class Rate:
    """A bucket: ``burst`` tokens at most, refilled by ``per_second``."""

    per_second: float
    burst: float


@dataclass(frozen=True)
class Demand:
    """Tokens to take from one bucket; limited to the size of the bucket."""

    name: str
    rate: Rate
    tokens: float = 1

    @property
    def bounded(self) -> float:
        return min(self.tokens, self.rate.burst)


# Retry interval while Redis is unavailable: each attempt may wait for a timeout.
_RETRY_SECONDS = 5
_LOCAL_BUCKETS = 20_000

# Refill by elapsed time, then take from all buckets or from none; returns the seconds to wait, 0 if taken.
_TAKE = """
local now = redis.call('TIME')
local t = tonumber(now[1]) + tonumber(now[2]) / 1e6
local wait, levels = 0, {}
for i, key in ipairs(KEYS) do
  local rate, burst, want = tonumber(ARGV[3*i-2]), tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i])
  local bucket = redis.call('HMGET', key, 'level', 'at')
  local level = math.min(burst, (tonumber(bucket[1]) or burst) + math.max(0, t - (tonumber(bucket[2]) or t)) * rate)
  levels[i] = level
  if level < want then wait = math.max(wait, (want - level) / rate) end
end
for i, key in ipairs(KEYS) do
  local rate, burst, want = tonumber(ARGV[3*i-2]), tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i])
  if wait > 0 then want = 0 end
  redis.call('HSET', key, 'level', tostring(levels[i] - want), 'at', string.format('%.6f', t))
  redis.call('EXPIRE', key, math.ceil(burst / rate) + 60)
end
return tostring(wait)
"""


class Buckets:
    """Takes tokens from Redis, or from local buckets while Redis is unavailable."""

    def __init__(self, client: "redis.Redis[Any]") -> None:
        self._take = client.register_script(_TAKE)
        self._local: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._retry_at = 0.0

    def take(self, demands: Sequence[Demand]) -> float:
        """Take from all these buckets, or from none; returns the seconds to wait, 0 if taken."""
        if time.monotonic() >= self._retry_at:
            try:
                return float(
                    self._take(
                        keys=[f"ispvm:rate:{demand.name}" for demand in demands],
                        args=[
                            number
                            for demand in demands
                            for number in (
                                demand.rate.per_second,
                                demand.rate.burst,
                                demand.bounded,
                            )
                        ],
                    )
                )
            except (redis.RedisError, OSError):
                self._retry_at = time.monotonic() + _RETRY_SECONDS
                log.warning("rate_limit_in_process")
        with self._lock:
            return self._take_local(demands)

    def _take_local(self, demands: Sequence[Demand]) -> float:
        now = time.monotonic()
        levels, wait = [], 0.0
        for demand in demands:
            level, at = self._local.get(demand.name, (demand.rate.burst, now))
            level = min(demand.rate.burst, level + (now - at) * demand.rate.per_second)
            levels.append(level)
            wait = max(wait, (demand.bounded - level) / demand.rate.per_second)
        for demand, level in zip(demands, levels, strict=True):
            self._local[demand.name] = (level if wait > 0 else level - demand.bounded, now)
            self._local.move_to_end(demand.name)
        while len(self._local) > _LOCAL_BUCKETS:
            self._local.popitem(last=False)
        return max(wait, 0.0)


_buckets: Buckets | None = None


def demand(demands: Sequence[Demand]) -> None:
    """Take from all these buckets, or from none. Raises RateExceeded."""
    if not demands:
        return
    wait = _shared().take(demands)
    if wait > 0:
        refusal = RateExceeded(message="Rate limit exceeded; retry after the time in Retry-After.")
        refusal.retry_after = max(1, int(wait) + 1)
        raise refusal


def _shared() -> Buckets:
    global _buckets
    if _buckets is None:
        _buckets = Buckets(limits_client())
    return _buckets


def limits_client() -> "redis.Redis[Any]":
    """A Redis client for limits with short timeouts: a request waits at most about a second."""
    return redis.Redis.from_url(
        settings.ISPVM_REDIS_URL,
        socket_timeout=0.5,
        socket_connect_timeout=0.5,
        # One immediate retry for a closed pooled connection; the library's default backoff takes seconds.
        retry=Retry(NoBackoff(), 1),
    )
