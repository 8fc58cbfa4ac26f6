"""What waits for an agent in apps above ingest: they say how much, so that the heartbeat's answer can name it."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

_providers: list[Callable[[UUID, datetime], int]] = []


def tell_pending(provider: Callable[[UUID, datetime], int]) -> None:
    """Have ``provider`` asked, inside the tenant, how many jobs wait for an agent."""
    _providers.append(provider)


def pending_count(agent_id: UUID, at: datetime) -> int:
    """How many jobs wait for an agent of the current tenant."""
    return sum(provider(agent_id, at) for provider in _providers)
