"""Number of pending jobs for an agent, for the heartbeat's response. Apps above ingest register the counters."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

_counters: list[Callable[[UUID, datetime], int]] = []


def register_pending_counter(counter: Callable[[UUID, datetime], int]) -> None:
    """Register a counter of pending jobs; it is called inside the tenant."""
    _counters.append(counter)


def pending_count(agent_id: UUID, at: datetime) -> int:
    """Number of pending jobs for an agent of the current tenant."""
    return sum(counter(agent_id, at) for counter in _counters)
