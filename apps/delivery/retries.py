"""The retry schedule. Pure: the time and the random generator are arguments."""

import random
from datetime import timedelta

# Seconds before the 1st, 2nd, ... attempt; about 70 hours in all.
DELAYS_SECONDS = (0, 5, 30, 120, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 86_400)
MAX_ATTEMPTS = len(DELAYS_SECONDS)
JITTER = 0.2

# Retry-After may extend a delay, but not without limit.
MAX_RETRY_AFTER_FACTOR = 2.0


def delay_after(
    failures: int, *, rng: random.Random, retry_after: timedelta | None
) -> timedelta | None:
    """The delay after this many failed attempts; None after the last attempt.

    ``retry_after`` of the receiver is respected between 1 and 2 times the scheduled delay.
    """
    if failures >= MAX_ATTEMPTS:
        return None
    delay = timedelta(seconds=DELAYS_SECONDS[failures] * rng.uniform(1 - JITTER, 1 + JITTER))
    if retry_after is None:
        return delay
    return min(max(delay, retry_after), delay * MAX_RETRY_AFTER_FACTOR)
