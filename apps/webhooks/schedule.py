"""When to try again. Pure: time and chance are passed in."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# Seconds before the 1st, 2nd, ... attempt; about 70 hours in all.
DELAYS_SECONDS = (0, 5, 30, 120, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 86_400)
MAX_ATTEMPTS = len(DELAYS_SECONDS)
JITTER = 0.2

# A receiver may ask for more time, but not put its events off for ever.
RETRY_AFTER_STRETCH = 2.0
LONGEST_WISH = timedelta(days=366)


def delay_after(failures: int, *, rng: random.Random, wanted: timedelta | None) -> timedelta | None:
    """How long to wait after this many failed attempts; None when it was the last.

    ``wanted`` is the receiver's Retry-After: heard between 1 and 2 times the slot.
    """
    if failures >= MAX_ATTEMPTS:
        return None
    slot = timedelta(seconds=DELAYS_SECONDS[failures] * rng.uniform(1 - JITTER, 1 + JITTER))
    if wanted is None:
        return slot
    return min(max(slot, wanted), slot * RETRY_AFTER_STRETCH)


def read_retry_after(value: str, *, at: datetime) -> timedelta | None:
    """A Retry-After header in seconds or as a date; None when it says nothing usable."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:12])), LONGEST_WISH)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError, IndexError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(when - at, LONGEST_WISH) if when > at else None
