"""Rates per agent and per tenant: token buckets in Redis, atomic; per process when Redis is away.

One flooding agent gets 429; the others do not notice. Heartbeats have a lane of their own.
"""

import threading
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import redis
import structlog
from django.conf import settings

from apps.ingest.errors import RateExceeded

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Rate:
    """A bucket: ``burst`` tokens at most, refilled by ``per_second``."""

    per_second: float
    burst: float


AGENT_REQUESTS = Rate(20, 200)
AGENT_SAMPLES = Rate(20_000, 400_000)
TENANT_SAMPLES = Rate(100_000, 2_000_000)
HEARTBEATS = Rate(2, 20)

# Refill by elapsed time, take if there is enough; answers the seconds to wait, 0 when taken.
_TAKE = """
local now = redis.call('TIME')
local t = tonumber(now[1]) + tonumber(now[2]) / 1e6
local rate, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local bucket = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = tonumber(bucket[1]) or burst
local at = tonumber(bucket[2]) or t
level = math.min(burst, level + math.max(0, t - at) * rate)
local wait = 0
if level >= want then level = level - want else wait = (want - level) / rate end
redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', tostring(t))
redis.call('EXPIRE', KEYS[1], math.ceil(burst / rate) + 60)
return tostring(wait)
"""


class Buckets:
    """Takes tokens; keeps buckets of its own while Redis does not answer."""

    def __init__(self, client: "redis.Redis[Any]") -> None:
        self._client = client
        self._take = client.register_script(_TAKE)
        self._own: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, name: str, rate: Rate, want: float) -> float:
        """Take ``want`` tokens; the seconds to wait if there are too few, else 0."""
        want = min(want, rate.burst)
        try:
            return float(
                self._take(keys=[f"ispvm:rate:{name}"], args=[rate.per_second, rate.burst, want])
            )
        except (redis.RedisError, OSError):
            log.warning("rate_limit_in_process")
            return self._take_here(name, rate, want)

    def _take_here(self, name: str, rate: Rate, want: float) -> float:
        now = time.monotonic()
        with self._lock:
            level, at = self._own.get(name, (rate.burst, now))
            level = min(rate.burst, level + (now - at) * rate.per_second)
            wait = 0.0 if level >= want else (want - level) / rate.per_second
            self._own[name] = (level if wait else level - want, now)
            return wait


_buckets: Buckets | None = None


def _shared() -> Buckets:
    global _buckets
    if _buckets is None:
        client = redis.Redis.from_url(
            settings.ISPVM_REDIS_URL, socket_timeout=1, socket_connect_timeout=1
        )
        _buckets = Buckets(client)
    return _buckets


def admit_request(agent_id: UUID) -> None:
    """Count a request against its agent. Raises RateExceeded."""
    _demand(f"requests:{agent_id}", AGENT_REQUESTS, 1)


def admit_heartbeat(agent_id: UUID) -> None:
    """Count a heartbeat in its own lane. Raises RateExceeded."""
    _demand(f"beats:{agent_id}", HEARTBEATS, 1)


def admit_samples(tenant_id: UUID, agent_id: UUID, number: int) -> None:
    """Count a batch's samples against its agent and its tenant. Raises RateExceeded."""
    _demand(f"samples:{agent_id}", AGENT_SAMPLES, number)
    _demand(f"samples:{tenant_id}", TENANT_SAMPLES, number)


def _demand(name: str, rate: Rate, want: float) -> None:
    wait = _shared().take(name, rate, want)
    if wait > 0:
        refusal = RateExceeded(message="Over the rate; wait, then send the same batch again.")
        refusal.retry_after = max(1, int(wait) + 1)
        raise refusal
