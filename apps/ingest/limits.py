"""Rate limits per agent and per tenant (see ``apps.core.buckets``), and concurrency per agent in a process.

A flooding agent gets 429 without affecting others. Heartbeats have a limit of their own.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from apps.core.buckets import Demand, Rate, RateExceeded, demand

MIB = 2**20
AGENT_REQUESTS = Rate(20, 200)
TENANT_REQUESTS = Rate(500, 2_000)
AGENT_BYTES = Rate(4 * MIB, 64 * MIB)
TENANT_BYTES = Rate(64 * MIB, 512 * MIB)
AGENT_ITEMS = Rate(20_000, 400_000)
TENANT_ITEMS = Rate(100_000, 2_000_000)
HEARTBEATS = Rate(2, 20)
ENROLLMENTS = Rate(1, 60)

#: Batches of one agent that a process handles at once, so that other threads stay free for other agents.
AGENT_IN_FLIGHT = 2
_in_flight: Counter[UUID] = Counter()
_flight_lock = threading.Lock()


def admit_request(*, tenant_id: UUID, agent_id: UUID, body_bytes: int = 0) -> None:
    """Count a request and its Content-Length against its agent and tenant. Raises RateExceeded."""
    demand(
        [
            Demand(f"requests:{agent_id}", AGENT_REQUESTS),
            Demand(f"requests:{tenant_id}", TENANT_REQUESTS),
            *_bytes(tenant_id, agent_id, body_bytes),
        ]
    )


def admit_bytes(*, tenant_id: UUID, agent_id: UUID, body_bytes: int) -> None:
    """Count the bytes of a body without Content-Length. Raises RateExceeded."""
    demand(_bytes(tenant_id, agent_id, body_bytes))


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
        demand(
            [
                Demand(f"items:{agent_id}", AGENT_ITEMS, number),
                Demand(f"items:{tenant_id}", TENANT_ITEMS, number),
            ]
        )


def admit_heartbeat(*, agent_id: UUID) -> None:
    """Count a heartbeat, separately from batches. Raises RateExceeded."""
    demand([Demand(f"beats:{agent_id}", HEARTBEATS)])


def admit_enrollment(*, source: str) -> None:
    """Count an enrollment against its source address. Raises RateExceeded."""
    demand([Demand(f"enroll:{source}", ENROLLMENTS)])


@contextmanager
def in_flight(agent_id: UUID) -> Iterator[None]:
    """Limit the batches of one agent that this process handles at once. Raises RateExceeded."""
    with _flight_lock:
        if _in_flight[agent_id] >= AGENT_IN_FLIGHT:
            raise RateExceeded(
                message="Wait for the responses to the batches that are in progress."
            )
        _in_flight[agent_id] += 1
    try:
        yield
    finally:
        with _flight_lock:
            _in_flight[agent_id] -= 1
            if not _in_flight[agent_id]:
                del _in_flight[agent_id]
