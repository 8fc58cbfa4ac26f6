"""Rates per agent and per tenant: token buckets in Redis, atomic; per process while Redis is away.

One flooding agent gets 429; the others do not notice. Heartbeats have a lane of their own.
"""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


@dataclass(frozen=True)
class Demand:
    """Tokens wanted of one bucket. More than a whole bucket counts as a whole bucket."""

    name: str
    rate: Rate
    tokens: float = 1

    @property
    def bounded(self) -> float:
        return min(self.tokens, self.rate.burst)


MIB = 2**20
AGENT_REQUESTS = Rate(20, 200)
TENANT_REQUESTS = Rate(500, 2_000)
AGENT_BYTES = Rate(4 * MIB, 64 * MIB)
TENANT_BYTES = Rate(64 * MIB, 512 * MIB)
AGENT_ITEMS = Rate(20_000, 400_000)
TENANT_ITEMS = Rate(100_000, 2_000_000)
HEARTBEATS = Rate(2, 20)
ENROLLMENTS = Rate(1, 60)

#: Batches of one agent that a process works on at once: its other threads stay free for others.
AGENT_IN_FLIGHT = 2
# While Redis does not answer, ask it again only this often: each asking costs a timeout.
_AWAY_SECONDS = 5
_OWN_BUCKETS = 20_000

# Refill by elapsed time, then take from all buckets or from none; answers the seconds to wait, 0 when taken.
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
    """Takes tokens; keeps buckets of its own while Redis does not answer."""

    def __init__(self, client: "redis.Redis[Any]") -> None:
        self._take = client.register_script(_TAKE)
        self._own: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._away_until = 0.0

    def take(self, demands: Sequence[Demand]) -> float:
        """Take from all these buckets, or from none; the seconds to wait, 0 when taken."""
        if time.monotonic() >= self._away_until:
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
                self._away_until = time.monotonic() + _AWAY_SECONDS
                log.warning("rate_limit_in_process")
        with self._lock:
            return self._take_here(demands)

    def _take_here(self, demands: Sequence[Demand]) -> float:
        now = time.monotonic()
        levels, wait = [], 0.0
        for demand in demands:
            level, at = self._own.get(demand.name, (demand.rate.burst, now))
            level = min(demand.rate.burst, level + (now - at) * demand.rate.per_second)
            levels.append(level)
            wait = max(wait, (demand.bounded - level) / demand.rate.per_second)
        for demand, level in zip(demands, levels, strict=True):
            self._own[demand.name] = (level if wait > 0 else level - demand.bounded, now)
            self._own.move_to_end(demand.name)
        while len(self._own) > _OWN_BUCKETS:
            self._own.popitem(last=False)
        return max(wait, 0.0)


_buckets: Buckets | None = None
_in_flight: Counter[UUID] = Counter()
_flight_lock = threading.Lock()


def _shared() -> Buckets:
    global _buckets
    if _buckets is None:
        client = redis.Redis.from_url(
            settings.ISPVM_REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5
        )
        _buckets = Buckets(client)
    return _buckets


def admit_request(*, tenant_id: UUID, agent_id: UUID, wire_bytes: int = 0) -> None:
    """Count a request and its announced bytes against its agent and tenant. Raises RateExceeded."""
    _demand(
        [
            Demand(f"requests:{agent_id}", AGENT_REQUESTS),
            Demand(f"requests:{tenant_id}", TENANT_REQUESTS),
            *_bytes(tenant_id, agent_id, wire_bytes),
        ]
    )


def admit_bytes(*, tenant_id: UUID, agent_id: UUID, wire_bytes: int) -> None:
    """Count the bytes of a body whose length was not announced. Raises RateExceeded."""
    _demand(_bytes(tenant_id, agent_id, wire_bytes))


def _bytes(tenant_id: UUID, agent_id: UUID, number: int) -> list[Demand]:
    if not number:
        return []
    return [
        Demand(f"bytes:{agent_id}", AGENT_BYTES, number),
        Demand(f"bytes:{tenant_id}", TENANT_BYTES, number),
    ]


def admit_items(*, tenant_id: UUID, agent_id: UUID, number: int) -> None:
    """Count a batch's samples and events against its agent and tenant. Raises RateExceeded."""
    if number:
        _demand(
            [
                Demand(f"items:{agent_id}", AGENT_ITEMS, number),
                Demand(f"items:{tenant_id}", TENANT_ITEMS, number),
            ]
        )


def admit_heartbeat(*, agent_id: UUID) -> None:
    """Count a heartbeat in its own lane: a flood of batches does not touch it. Raises RateExceeded."""
    _demand([Demand(f"beats:{agent_id}", HEARTBEATS)])


def admit_enrollment(*, source: str) -> None:
    """Count an enrolment against the address that it comes from. Raises RateExceeded."""
    _demand([Demand(f"enroll:{source}", ENROLLMENTS)])


@contextmanager
def in_flight(agent_id: UUID) -> Iterator[None]:
    """Hold one of an agent's places in this process. Raises RateExceeded when it has none left."""
    with _flight_lock:
        if _in_flight[agent_id] >= AGENT_IN_FLIGHT:
            raise RateExceeded(message="Wait for the answers to the batches that are under way.")
        _in_flight[agent_id] += 1
    try:
        yield
    finally:
        with _flight_lock:
            _in_flight[agent_id] -= 1
            if not _in_flight[agent_id]:
                del _in_flight[agent_id]


def _demand(demands: Sequence[Demand]) -> None:
    if not demands:
        return
    wait = _shared().take(demands)
    if wait > 0:
        refusal = RateExceeded(message="Over the rate; wait, then send the same again.")
        refusal.retry_after = max(1, int(wait) + 1)
        raise refusal
