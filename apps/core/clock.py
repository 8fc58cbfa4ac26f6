"""The only module that reads the wall clock; code below the interfaces gets ``at``."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)
