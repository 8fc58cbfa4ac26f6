"""The only place that reads the wall clock; everything below an interface gets ``at``."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)
